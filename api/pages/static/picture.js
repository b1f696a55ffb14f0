// Everything about one picture: it is loaded, shown, changed and erased here.

import { addressesOf } from './addresses.js';
import { call, Problem } from './api.js';
import { Rename, Tags } from './edit.js';
import { EraseDialog } from './erase.js';
import { settled } from './events.js';
import { Facts } from './facts.js';
import { presets } from './presets.js';
import { Receipt } from './receipt.js';
import { Snippet } from './snippet-form.js';
import { Variants } from './variants.js';
import { html, useEffect, useRef, useState } from './vendor/preact.js';
import { t } from './words.js';

const PREVIEW_PIXELS = 600;
const GONE = 410;
const UNKNOWN = 404;

/** Read an image, again once it is settled. `show` gets the states of the picture. */
async function load(imageId, signal, show) {
    try {
        const { json: image } = await call(`/v1/images/${encodeURIComponent(imageId)}`, { signal });
        show({ image });
        if (image.status === 'pending') {
            show({ image: await settled(imageId, signal) });
        }
    } catch (error) {
        if (error instanceof Problem) {
            show(refusedBy(error));
        }
    }
}

function refusedBy(error) {
    switch (error.status) {
        case GONE:
            return { erased: true, receiptUrl: error.document.receiptUrl };
        case UNKNOWN:
            return { reason: t('detail.unknown') };
        default:
            return { reason: t('detail.notLoaded', { reason: error.message }), passes: error.passes };
    }
}

/** Focus the heading, once, if what had the focus is gone: in a dialog, or after the reader `tried` again. */
function keepFocus(tried) {
    if (document.activeElement === document.body && (tried.current || document.querySelector('dialog[open]'))) {
        tried.current = false;
        document.getElementById('picture-title').focus();
    }
}

const focus = (element) => element?.focus();

/**
 * `known` is the name until the picture is loaded. `head` returns the heading for a name. `edited` is
 * called with an image that was changed here, and `left` with the id of one that was erased.
 */
export function Picture({ imageId, known, session, head, edited, left }) {
    const [state, setState] = useState({});
    const [tries, setTries] = useState(0);
    const tried = useRef(false);
    useEffect(() => {
        const aborting = new AbortController();
        setState({});
        load(imageId, aborting.signal, (loaded) => aborting.signal.aborted || setState(loaded));
        return () => aborting.abort();
    }, [imageId, tries]);
    useEffect(() => keepFocus(tried), [state]);
    const again = () => {
        tried.current = true;
        setTries(tries + 1);
    };
    const { image, erased, here, receiptUrl, reason, passes } = state;
    const name = image?.filename ?? state.name ?? known ?? imageId;
    useEffect(() => {
        const before = document.title;
        document.title = t('detail.title', { name });
        return () => (document.title = before);
    }, [name]);
    const put = (id, next) => setState((now) => (now.image?.imageId === id ? next : now)); // another may be shown by now
    const changed = (now) => {
        put(now.imageId, { image: now });
        edited?.(now);
    };
    const gone = (url) => {
        put(image.imageId, { erased: true, here: true, receiptUrl: url, name });
        left?.(image.imageId);
    };
    return html`${head(name)}
        ${reason && html`<p role="alert">${reason}</p>`}
        ${passes && html`<p><button onClick=${again}>${t('site.again')}</button></p>`}
        ${erased && html`<p tabindex="-1" ref=${here && focus}>${t('detail.erased')}</p>`}
        ${receiptUrl && html`<${Receipt} url=${receiptUrl} />`}
        ${!image && !erased && !reason && html`<p class="quiet">${t('grid.loading')}</p>`}
        ${image && presets.value && html`<${Loaded} key=${image.imageId} image=${image} name=${name} session=${session} changed=${changed} gone=${gone} />`}`;
}

function Loaded({ image, name, session, changed, gone }) {
    const [addresses, setAddresses] = useState(null);
    const shown = previewOf(image);
    useEffect(() => {
        const aborting = new AbortController();
        addressesOf(image, session, aborting.signal).then((found) => aborting.signal.aborted || setAddresses(found));
        return () => aborting.abort();
    }, [image.imageId, image.status]);
    return html`<div class="picture">
            <${Preview} image=${image} name=${name} preset=${shown} address=${addresses?.[shown]} />
            <div class="about">
                <${Facts} image=${image} />
                <${Tags} image=${image} changed=${changed} />
                <${Actions} image=${image} name=${name} session=${session} changed=${changed} gone=${gone} />
            </div>
        </div>
        ${image.status === 'completed' && html`<${Variants} image=${image} addresses=${addresses} />`}
        ${shown && session.deliveryUrl && html`<${Snippet} image=${image} session=${session} shown=${shown} />`}
        ${shown && !session.deliveryUrl && html`<p class="quiet">${t('snippet.noDelivery')}</p>`}`;
}

/** The preset of the smallest variant that is sharp at the size of the preview, or of the largest. */
function previewOf({ variants }) {
    const sorted = Object.keys(variants).sort((one, other) => variants[one].width - variants[other].width);
    const side = (name) => Math.max(variants[name].width, variants[name].height);
    return sorted.find((name) => side(name) >= PREVIEW_PIXELS * Math.min(2, devicePixelRatio)) ?? sorted.at(-1);
}

function Preview({ image, name, preset, address }) {
    const [broken, setBroken] = useState(false);
    useEffect(() => setBroken(false), [address?.url]);
    if (!preset) {
        return null;
    }
    const { width, height } = image.variants[preset];
    const colour = (one) => one && (one.style.backgroundColor = image.dominantColour ?? '');
    if (broken || address?.reason) {
        return html`<p class="quiet preview">${t('detail.noPreview', { preset })}</p>`;
    }
    return html`<img class="preview" src=${address?.url} width=${width} height=${height} alt=${name} translate=${false} ref=${colour} onError=${() => setBroken(true)} />`;
}

function Actions({ image, name, session, changed, gone }) {
    const [open, setOpen] = useState('');
    const renaming = useRef(null);
    const close = () => {
        setOpen('');
        setTimeout(() => renaming.current?.focus());
    };
    const { erase, originals } = session.can;
    return html`${open === 'rename' && html`<${Rename} image=${image} changed=${changed} done=${close} />`}
        <div class="acts">
            ${originals && image.status !== 'pending' && html`<a class="button" href=${`/v1/images/${image.imageId}/original`} download>${t('detail.original')}</a>`}
            ${image.status === 'completed' && html`<a class="button" href=${`/ui/playground?image=${image.imageId}`}>${t('detail.playground')}</a>`}
            ${open !== 'rename' && html`<button ref=${renaming} onClick=${() => setOpen('rename')}>${t('detail.rename')}</button>`}
            ${erase && html`<button onClick=${() => setOpen('erase')}>${t('detail.erase')}</button>`}
        </div>
        ${open === 'erase' && html`<${EraseDialog} image=${image} name=${name} erased=${gone} kept=${() => setOpen('')} />`}`;
}
