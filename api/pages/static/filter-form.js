// The form of the filters. Each change is an entry of the browser's history, so Back undoes it.

import { faultsOf, isSet, isWhole, searchOf, STATUS_CHOICES, tagsOf, valuesOf } from './filters.js';
import { formatName } from './format.js';
import { bind } from './keys.js';
import { route, search } from './route.js';
import { createRef, html, useEffect, useState } from './vendor/preact.js';
import { t } from './words.js';

const FURTHER = ['tags', 'status', 'format', 'from', 'to', 'width', 'height'];
const name = createRef();

export const focusSearch = () => name.current?.focus();

export function FilterForm({ session }) {
    const present = route.value.search;
    const [values, setValues] = useState(valuesOf(present));
    const faults = faultsOf(valuesOf(present), session);
    useEffect(() => setValues(valuesOf(present)), [present]);
    useEffect(() => bind('/', 'keys.search', focusSearch), []);
    const apply = (entered) => {
        const { tags } = entered;
        const changed = { ...entered, tags: typeof tags === 'string' ? tagsOf(tags) : tags };
        setValues(changed);
        if (isWhole(changed.from) && isWhole(changed.to)) {
            search(searchOf(changed, location.search));
        }
    };
    const field = (key) => ({
        id: `filter-${key}`,
        value: [values[key]].flat().join(', '),
        'aria-invalid': key in faults,
        onInput: (event) => setValues({ ...values, [key]: event.target.value }),
        onChange: (event) => apply({ ...values, [key]: event.target.value }),
    });
    const submit = (event) => {
        event.preventDefault();
        apply(values);
    };
    const clear = () => {
        apply(valuesOf(''));
        focusSearch();
    };
    const used = FURTHER.some((key) => valuesOf(present)[key].length);
    return html`<form role="search" class="filters" onSubmit=${submit} aria-label=${t('filter.title')}>
        <div class="bar">
            <label class="narrow">${t('filter.name')}<input type="search" ref=${name} ...${field('name')} /></label>
            ${isSet(valuesOf(present)) && html`<button type="button" onClick=${clear}>${t('filter.clear')}</button>`}
        </div>
        <details open=${used}>
            <summary>${t('filter.more')}</summary>
            <${Further} field=${field} session=${session} />
        </details>
        ${Object.values(faults).map((fault) => html`<p role="alert" class="bad">${fault}</p>`)}
        <button class="unseen" tabindex="-1">${t('filter.apply')}</button>
    </form>`;
}

function Further({ field, session }) {
    const statuses = STATUS_CHOICES.map((value) => [value, t(`status.${value}`)]);
    const formats = session.readable.map((value) => [value, formatName(value)]);
    return html`<div class="fields">
        <label>${t('filter.tags')}<input ...${field('tags')} placeholder=${t('filter.tagsHint')} /></label>
        <label>${t('filter.status')}<${Choice} field=${field('status')} choices=${statuses} /></label>
        <label>${t('filter.format')}<${Choice} field=${field('format')} choices=${formats} /></label>
        <label>${t('filter.from')}<input type="date" ...${field('from')} /></label>
        <label>${t('filter.to')}<input type="date" ...${field('to')} /></label>
        <label>${t('filter.width')}<input inputmode="numeric" ...${field('width')} /></label>
        <label>${t('filter.height')}<input inputmode="numeric" ...${field('height')} /></label>
    </div>`;
}

/** A list of choices. A value that is none of them, from the address, is shown as it is. */
function Choice({ field, choices }) {
    const known = !field.value || choices.some(([value]) => value === field.value);
    return html`<select ...${field}>
        <option value="">${t('filter.any')}</option>
        ${choices.map(([value, text]) => html`<option value=${value} translate=${false}>${text}</option>`)}
        ${!known && html`<option value=${field.value} translate=${false}>${field.value}</option>`}
    </select>`;
}
