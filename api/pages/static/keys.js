// Keys that act without a modifier, and the dialog that shows them. All can be turned off.

import { html, signal, useEffect, useRef } from './vendor/preact.js';
import { t } from './words.js';

const STORED = 'keys';
const TYPED_IN = 'input:not([type=checkbox], [type=radio], [type=range], [type=file]), textarea, select, [contenteditable]';
const bound = new Map();
const on = signal(localStorage.getItem(STORED) !== 'off');
export const helpShown = signal(false);

/** Act on a key, such as `u`, and show it in the help by the text of this key of words.js. */
export function bind(key, wordKey, act) {
    bound.set(key, { wordKey, act });
}

function types(element) {
    return element.closest?.(TYPED_IN);
}

export function listenToKeys() {
    bind('?', 'keys.help', () => {
        helpShown.value = true;
    });
    addEventListener('keydown', (event) => {
        const modified = event.ctrlKey || event.altKey || event.metaKey || event.isComposing;
        const one = bound.get(event.key);
        if (!one || !on.value || modified || types(event.target) || document.querySelector('dialog[open]')) {
            return;
        }
        event.preventDefault();
        one.act();
    });
}

function turn(event) {
    on.value = event.target.checked;
    localStorage.setItem(STORED, on.value ? 'on' : 'off');
}

export function KeyHelp() {
    const dialog = useRef(null);
    const shown = helpShown.value;
    useEffect(() => {
        if (shown) {
            dialog.current.showModal();
        }
    }, [shown]);
    return html`<dialog ref=${dialog} aria-labelledby="keys-title" onClose=${() => (helpShown.value = false)}>
        <h2 id="keys-title">${t('keys.title')}</h2>
        <dl class="keys">
            ${[...bound].map(([key, { wordKey }]) => html`<div><dt><kbd translate=${false}>${key}</kbd></dt><dd>${t(wordKey)}</dd></div>`)}
        </dl>
        <p class="quiet">${t('keys.note')}</p>
        <label class="check"><input type="checkbox" checked=${on.value} onChange=${turn} />${t('keys.on')}</label>
        <form method="dialog"><button>${t('keys.close')}</button></form>
    </dialog>`;
}
