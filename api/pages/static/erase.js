// Asks before an image is erased: the dialog names all that goes.

import { call } from './api.js';
import { bytes } from './format.js';
import { ended } from './session.js';
import { Ended } from './shell.js';
import { html, useEffect, useRef, useState } from './vendor/preact.js';
import { t } from './words.js';

function goes({ status, originalSize, variants }) {
    if (status === 'pending') {
        return [t('erase.goesUpload')];
    }
    const all = Object.values(variants);
    const sizes = bytes(all.reduce((sum, one) => sum + one.size, 0));
    return [
        t('erase.goesSource', { bytes: bytes(originalSize ?? 0) }),
        ...(all.length ? [t('erase.goesVariants', { n: all.length, bytes: sizes }), t('erase.goesCopies')] : []),
    ];
}

/**
 * `erased` gets the path of the receipt; `kept` is called when the dialog closes. A request that is
 * sent cannot be taken back, but one that waits for a new session is given up with the dialog.
 */
export function EraseDialog({ image, name, erased, kept }) {
    const dialog = useRef(null);
    const waiting = useRef(null);
    const [{ busy, reason }, setState] = useState({});
    const isSent = busy && !(ended.value && waiting.current);
    const giveUp = () => ended.peek() && waiting.current?.abort();
    useEffect(() => {
        dialog.current.showModal();
        return giveUp;
    }, []);
    const erase = async () => {
        const aborting = new AbortController();
        const { signal } = aborting;
        waiting.current = null;
        setState({ busy: true });
        try {
            const waits = () => (waiting.current = aborting);
            const { json } = await call(`/v1/images/${image.imageId}`, { method: 'DELETE', signal, waits });
            dialog.current?.close();
            erased(json.receiptUrl);
        } catch (error) {
            if (!signal.aborted) {
                setState({ reason: error.message });
            }
        }
    };
    const cancel = (event) => isSent && event.preventDefault();
    const close = () => {
        giveUp();
        kept();
    };
    return html`<dialog ref=${dialog} aria-labelledby="erase-title" onCancel=${cancel} onClose=${close}>
        <${Ended} />
        <h2 id="erase-title">${t('erase.title', { name })}</h2>
        <p>${t('erase.goes')}</p>
        <ul class="plain">${goes(image).map((one) => html`<li>${one}</li>`)}</ul>
        <p>${t('erase.noUndo')}</p>
        ${reason && html`<p role="alert" class="bad">${t('erase.failed', { reason })}</p>`}
        <div class="acts">
            <button autofocus disabled=${isSent} onClick=${() => dialog.current.close()}>${t('erase.keep')}</button>
            <button class="danger" disabled=${busy} onClick=${erase}>${t('erase.erase')}</button>
        </div>
    </dialog>`;
}
