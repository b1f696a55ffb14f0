// The filters of the grid: read from the query of the address, written to the API's query, and
// applied to single images. Pure.

import { t } from './words.js';

const MOST_TAGS = 5;
const PAGE = 60;
const STATUSES = ['pending', 'completed', 'rejected'];
const FIRST_YEAR = 1970;
const MEDIA_TYPES = { svg: 'image/svg+xml' };

export const STATUS_CHOICES = STATUSES;
export const mediaTypeOf = (format) => MEDIA_TYPES[format] ?? `image/${format}`;

/** Split a text at commas into tags. */
export function tagsOf(text) {
    return [...new Set(text.split(',').map((tag) => tag.trim()).filter(Boolean))];
}

/** Return the values of all fields of a query; an absent one is empty. A tag may have a comma. */
export function valuesOf(search) {
    const query = new URLSearchParams(search);
    const values = { tags: [...new Set(query.getAll('tag').filter(Boolean))] };
    for (const name of ['name', 'status', 'from', 'to', 'width', 'height', 'format']) {
        values[name] = query.get(name) ?? '';
    }
    return values;
}

/** Return the query of the address for values. Parameters that are no filters stay. */
export function searchOf(values, search) {
    const query = new URLSearchParams(search);
    query.delete('tag');
    values.tags.forEach((tag) => query.append('tag', tag));
    for (const [name, value] of Object.entries(values)) {
        if (name !== 'tags') {
            value ? query.set(name, value) : query.delete(name);
        }
    }
    return query.size ? `?${query}` : '';
}

export const isSet = (values) => Object.values(values).some((value) => value.length);

/** Whether a date was typed so far that it can be meant. */
export const isWhole = (date) => !date || Number(date.slice(0, 4)) >= FIRST_YEAR;

/** Return the start of a local day; null unless it is one of the calendar. */
function startOf(date) {
    const found = /^(\d{4})-(\d\d)-(\d\d)$/.exec(date);
    const day = found && new Date(Number(found[1]), Number(found[2]) - 1, Number(found[3]));
    return day && isWhole(date) && day.getDate() === Number(found[3]) ? day : null;
}

function endOf(date) {
    const day = startOf(date);
    return day && new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1, 0, 0, 0, -1);
}

/** Return the fault of each field whose value cannot be used, in words. */
export function faultsOf(values, session) {
    const faults = {};
    const { tags } = values;
    const long = tags.find((tag) => [...tag].length > session.limits.tagCharacters);
    if (tags.length > MOST_TAGS) {
        faults.tags = t('filter.tooManyTags', { n: MOST_TAGS });
    } else if (long) {
        faults.tags = t('upload.tagTooLong', { n: session.limits.tagCharacters, tag: long });
    }
    if (values.status && !STATUSES.includes(values.status)) {
        faults.status = t('filter.badStatus', { value: values.status });
    }
    if (values.format && !session.readable.includes(values.format)) {
        faults.format = t('filter.badFormat', { value: values.format });
    }
    for (const name of ['from', 'to']) {
        if (values[name] && !startOf(values[name])) {
            faults[name] = t('filter.badDate', { value: values[name] });
        }
    }
    if (values.from && values.to && !faults.from && !faults.to && values.to < values.from) {
        faults.to = t('filter.badOrder');
    }
    for (const name of ['width', 'height']) {
        if (values[name] && !/^[1-9]\d{0,8}$/.test(values[name])) {
            faults[name] = t('filter.badNumber', { value: values[name] });
        }
    }
    return faults;
}

/** Return the query of `GET /v1/images` for values without faults. */
export function apiQuery(values) {
    const query = new URLSearchParams({ limit: String(PAGE) });
    const put = (name, value) => value && query.append(name, value);
    values.tags.forEach((tag) => put('tag', tag));
    put('status', values.status);
    put('filename', values.name);
    put('mediaType', values.format && mediaTypeOf(values.format));
    put('since', startOf(values.from)?.toISOString());
    put('until', endOf(values.to)?.toISOString());
    put('minWidth', values.width);
    put('minHeight', values.height);
    return query.toString();
}

/** Whether an image, as lists have it, meets all conditions. */
export function matches(values, image) {
    const at = new Date(image.uploadedAt);
    return (
        values.tags.every((tag) => image.tags.includes(tag)) &&
        (!values.status || image.status === values.status) &&
        (image.filename ?? '').startsWith(values.name) &&
        (!values.format || image.mediaType === mediaTypeOf(values.format)) &&
        (!values.from || at >= startOf(values.from)) &&
        (!values.to || at <= endOf(values.to)) &&
        (image.width ?? 0) >= Number(values.width) &&
        (image.height ?? 0) >= Number(values.height)
    );
}
