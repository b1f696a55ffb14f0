// Keys that act without a modifier, and the dialog that shows them. All can be turned off.

import { html, signal, useEffect, useRef } from './vendor/preact.js';
import { t } from './words.js';

const STORED = 'keys';
const TYPED_IN = 'input:not([type=checkbox], [type=radio], [type=range], [type=file]), textarea, select, [contenteditable]';
const SHOWN = { ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓' };
const bound = new Map();
const help = new Map();
const on = signal(localStorage.getItem(STORED) !== 'off');
export const helpShown = signal(false);

/**
 * Act on a key, such as `u`, or on several, and show them in the help by the text of this key of
 * words.js. If `act` returns false, the browser acts.
 */
export function bind(keys, wordKey, act) {
    const all = [keys].flat();
    all.forEach((key) => bound.set(key, act));
    help.set(wordKey, all);
}

/** Whether keys without a modifier act on an event. */
export function acts(event) {
    return on.value && !(event.ctrlKey || event.altKey || event.metaKey || event.isComposing) && !types(event.target);
}

function types(element) {
    return element.closest?.(TYPED_IN);
}

export function listenToKeys() {
    bind('?', 'keys.help', () => {
        helpShown.value = true;
    });
    addEventListener('keydown', (event) => {
        const act = bound.get(event.key);
        if (act && acts(event) && !document.querySelector('dialog[open]') && act(event) !== false) {
            event.preventDefault();
        }
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
            ${[...help].map(([wordKey, keys]) => html`<div><dt>${keys.map((key) => html`<kbd translate=${false}>${SHOWN[key] ?? key}</kbd>`)}</dt><dd>${t(wordKey)}</dd></div>`)}
        </dl>
        <p class="quiet">${t('keys.note')}</p>
        <label class="check"><input type="checkbox" checked=${on.value} onChange=${turn} />${t('keys.on')}</label>
        <form method="dialog"><button>${t('keys.close')}</button></form>
    </dialog>`;
}
