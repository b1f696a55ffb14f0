// Fields of a form, each for one word of options or one argument.

import { html, useMemo } from './vendor/preact.js';
import { t } from './words.js';

let fields = 0;

/** A labelled field. `fault` says what is wrong with its value. */
function Field({ label, fault, children }) {
    const id = useMemo(() => `field-${(fields += 1)}`, []);
    return html`<div class="option">
        <label for=${id}>${label}</label>
        ${children({ id, 'aria-invalid': Boolean(fault), 'aria-describedby': fault ? `${id}-fault` : undefined })}
        ${fault && html`<p id=${`${id}-fault`} class="bad">${t('play.fault', { fault })}</p>`}
    </div>`;
}

/** @param {{label: any, value: string, least?: number, most?: number, step?: string, fault?: string, put: (value: string) => void}} field */
export function NumberField({ label, value, least, most, step = '1', fault, put }) {
    return html`<${Field} label=${label} fault=${fault}>
        ${(shared) =>
            html`<input ...${shared} type="number" inputmode="decimal" min=${least} max=${most} step=${step} value=${value}
                onChange=${(event) => put(event.target.value)} />`}
    </${Field}>`;
}

export function TextField({ label, value, form, fault, put }) {
    return html`<${Field} label=${label} fault=${fault}>
        ${(shared) =>
            html`<input ...${shared} type="text" autocapitalize="off" spellcheck=${false} value=${value} title=${form && t('play.rule', { form })}
                onChange=${(event) => put(event.target.value.trim())} />`}
    </${Field}>`;
}

/** `none` is the text of the choice of nothing; without it one of the choices is always taken. */
export function ChoiceField({ label, value, choices, none, fault, put }) {
    const all = value && !choices.includes(value) ? [...choices, value] : choices;
    return html`<${Field} label=${label} fault=${fault}>
        ${(shared) =>
            html`<select ...${shared} value=${value} onChange=${(event) => put(event.target.value)}>
                ${none && html`<option value="" selected=${!value}>${none}</option>`}
                ${all.map((one) => html`<option value=${one} selected=${one === value} translate=${false}>${one}</option>`)}
            </select>`}
    </${Field}>`;
}

export function CheckField({ label, on, fault, put }) {
    return html`<div class="option">
        <label class="check"><input type="checkbox" checked=${on} onChange=${(event) => put(event.target.checked)} />${label}</label>
        ${fault && html`<p class="bad">${t('play.fault', { fault })}</p>`}
    </div>`;
}

/** A number that may also be dragged. It is put when it is let go. */
export function RangeField({ label, value, start, least, most, fault, put }) {
    return html`<div class="range">
        <${NumberField} label=${label} value=${value} least=${least} most=${most} fault=${fault} put=${put} />
        <input type="range" min=${least} max=${most} value=${value || start} aria-label=${t('play.drag', { label })}
            onInput=${({ target }) => (target.parentElement.querySelector('[type=number]').value = target.value)}
            onChange=${(event) => put(event.target.value)} />
    </div>`;
}
