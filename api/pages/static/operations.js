// The operations of options, in their order, with a field for each argument.

import { ChoiceField, NumberField, TextField } from './fields.js';
import { write } from './options.js';
import { change } from './tried.js';
import { html, useRef, useState } from './vendor/preact.js';
import { t } from './words.js';

export function Operations({ options, vocabulary, fault }) {
    const [next, setNext] = useState('');
    const adding = useRef(null);
    const focusOnAdding = () => adding.current.querySelector('select').focus();
    const { operations } = options;
    const put = (changed) => change({ o: write({ ...options, operations: changed }) });
    const add = () => {
        const one = vocabulary.operations.find(({ name }) => name === next);
        if (one) {
            put([...operations, { name: one.name, texts: firstTexts(one) }]);
            setNext('');
            focusOnAdding();
        }
    };
    const at = (place, ...instead) => put([...operations.slice(0, place), ...instead, ...operations.slice(place + 1)]);
    const up = (place) => put(operations.with(place - 1, operations[place]).with(place, operations[place - 1]));
    const remove = (place) => {
        at(place);
        focusOnAdding();
    };
    const isFull = operations.length >= vocabulary.maxOperations;
    return html`<fieldset>
        <legend>${t('play.operations')}</legend>
        <ol class="operations">
            ${operations.map(
                (one, place) => html`<${Operation} key=${place} operation=${one} place=${place} vocabulary=${vocabulary}
                    fault=${fault?.option === one.name ? fault.detail : ''}
                    put=${(texts) => at(place, { ...one, texts })} up=${place > 0 && (() => up(place))} remove=${() => remove(place)} />`,
            )}
        </ol>
        <div class="adding" ref=${adding}>
            <${ChoiceField} label=${t('play.add')} value=${next} choices=${vocabulary.operations.map(({ name }) => name)} none=${t('play.choose')} put=${setNext} />
            <button type="button" disabled=${!next || isFull} onClick=${add}>${t('play.addIt')}</button>
        </div>
        ${isFull && html`<p class="quiet">${t('play.full', { n: vocabulary.maxOperations })}</p>`}
    </fieldset>`;
}

function Operation({ operation: { name, texts }, place, vocabulary, fault, put, up, remove }) {
    const kind = vocabulary.operations.find((one) => one.name === name);
    const label = t('play.operation', { place: place + 1, name });
    const all = kind.arguments.map((one, number) => texts[number] || `${one.default ?? ''}`);
    return html`<li>
        <div class="bar">
            <p>${label}</p>
            ${up && html`<button type="button" class="icon" aria-label=${t('play.up', { label })} onClick=${up}><span aria-hidden="true" translate=${false}>↑</span></button>`}
            <button type="button" class="icon" aria-label=${t('play.remove', { label })} onClick=${remove}><span aria-hidden="true" translate=${false}>×</span></button>
        </div>
        <p class="quiet">${t('play.meaning', { meaning: kind.meaning })}</p>
        ${kind.arguments.map(
            (one, number) => html`<${Argument} key=${one.name} argument=${one} value=${all[number]} put=${(value) => put(all.with(number, value))} />`,
        )}
        ${fault && html`<p class="bad">${t('play.fault', { fault })}</p>`}
    </li>`;
}

function Argument({ argument: { name, kind, least, most, whole, choices, expected }, value, put }) {
    const shared = { label: t('play.word', { name }), value, put };
    switch (kind) {
        case 'number':
            return html`<${NumberField} ...${shared} least=${least} most=${most} step=${whole ? '1' : 'any'} />`;
        case 'choice':
            return html`<${ChoiceField} ...${shared} choices=${choices} />`;
        default:
            return html`<${TextField} ...${shared} form=${expected} />`;
    }
}

/** Return the texts with which an operation begins in the form: defaults, or values that show something. */
function firstTexts(operation) {
    return operation.arguments.map((one) => `${one.default ?? firstValue(one)}`);
}

function firstValue({ kind, least, most, whole, choices }) {
    if (kind !== 'number') {
        return choices?.[0] ?? 'ffffff';
    }
    if (whole) {
        return most > 1000 ? 100 : 10;
    }
    return least < 0 ? 10 : most > 1 ? 2 : 0.5;
}
