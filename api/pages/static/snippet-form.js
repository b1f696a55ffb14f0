// Chooses a snippet, shows and copies it.

import { isPrivate } from './addresses.js';
import { Copy } from './copy.js';
import { KINDS, snippetOf } from './snippet.js';
import { html, useEffect, useState } from './vendor/preact.js';
import { t } from './words.js';

export function Snippet({ image, session, shown }) {
    const [kind, setKind] = useState(KINDS[0]);
    const [preset, setPreset] = useState(shown);
    const [{ text, reason }, setResult] = useState({});
    useEffect(() => {
        const aborting = new AbortController();
        const set = (result) => aborting.signal.aborted || setResult(result);
        snippetOf(kind, image, preset, session, aborting.signal).then(
            (made) => set({ text: made }),
            (error) => set({ reason: error.message }),
        );
        return () => aborting.abort();
    }, [kind, preset, image.imageId, image.filename]);
    const expires = isPrivate(preset) || (kind === 'srcset' && Object.keys(image.variants).some(isPrivate));
    return html`<section aria-labelledby="snippet-title" class="snippet">
        <h3 id="snippet-title">${t('snippet.title')}</h3>
        <fieldset class="bar">
            <legend class="unseen">${t('snippet.kind')}</legend>
            ${KINDS.map((one) => html`<label class="check"><input type="radio" name="snippet" checked=${one === kind} onChange=${() => setKind(one)} />${t(`snippet.${one}`)}</label>`)}
            <label class="check">${t('snippet.preset')}<select value=${preset} onChange=${(event) => setPreset(event.target.value)}>
                ${Object.keys(image.variants).map((name) => html`<option translate=${false} value=${name}>${name}</option>`)}
            </select></label>
            ${text && html`<${Copy} text=${text} name=${t('snippet.theHtml')} />`}
        </fieldset>
        ${reason && html`<p class="bad" role="alert">${t('snippet.none', { reason })}</p>`}
        ${text && html`<pre translate=${false} tabindex="0" role="region" aria-label=${t('snippet.title')}><code>${text}</code></pre>`}
        ${text && expires && html`<p class="quiet">${t('detail.expires')}</p>`}
    </section>`;
}
