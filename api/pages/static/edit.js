// Changes the tags and the file name of an image. Changes of others meanwhile are kept and shown.

import { call } from './api.js';
import { tagsOf } from './filters.js';
import { gridPath, route, search } from './route.js';
import { html, useEffect, useRef, useState } from './vendor/preact.js';
import { t } from './words.js';

const MOST_CHARACTERS = 255;
const CHANGED = 409;

/** Send a change. Returns the image as it is now, and a note about what else happened. */
async function send(image, change) {
    const path = `/v1/images/${image.imageId}`;
    try {
        const { json: now } = await call(path, { method: 'PATCH', body: change });
        const { addTags = [], removeTags = [] } = change;
        const expected = new Set([...image.tags, ...addTags].filter((tag) => !removeTags.includes(tag)));
        const alone = now.tags.length === expected.size && now.tags.every((tag) => expected.has(tag));
        return { now, note: alone ? '' : t('detail.othersChanged') };
    } catch (error) {
        const read = error.status === CHANGED && (await call(path).catch(() => null));
        return read
            ? { now: read.json, note: t('detail.changedMeanwhile') }
            : { now: image, note: t('detail.notChanged', { reason: error.message }) };
    }
}

export function Tags({ image, changed }) {
    const [text, setText] = useState('');
    const [note, setNote] = useState('');
    const input = useRef(null);
    const latest = useRef(image);
    const queue = useRef(Promise.resolve());
    latest.current = image;
    const edit = (change) => {
        // One after the other: what a change leads to is known once the one before it is answered.
        queue.current = queue.current.then(async () => {
            const { now, note: said } = await send(latest.current, change);
            latest.current = now;
            setNote(said);
            changed(now);
            input.current?.focus();
            return now;
        });
        return queue.current;
    };
    const add = async (event) => {
        event.preventDefault();
        const addTags = tagsOf(text);
        const now = addTags.length ? await edit({ addTags }) : image;
        if (addTags.every((tag) => now.tags.includes(tag))) {
            setText('');
        }
    };
    return html`<div class="tags">
        <ul>${image.tags.map((tag) => html`<li key=${tag} class="tag">
            <${Tag} tag=${tag} />
            <button class="icon" aria-label=${t('detail.removeTag', { tag })} onClick=${() => edit({ removeTags: [tag] })}><span aria-hidden="true" translate=${false}>×</span></button>
        </li>`)}</ul>
        <form onSubmit=${add} class="field">
            <input ref=${input} aria-label=${t('detail.newTags')} placeholder=${t('detail.newTags')} value=${text} onInput=${(event) => setText(event.target.value)} />
            <button>${t('detail.addTags')}</button>
        </form>
        <p role="status" class="quiet">${note}</p>
    </div>`;
}

/** A tag leads to the pictures that have it. */
function Tag({ tag }) {
    const query = `?${new URLSearchParams({ tag })}`;
    const go = (event) => {
        if (route.value.over) {
            event.preventDefault();
            search(query);
        }
    };
    return html`<a href=${gridPath(query)} onClick=${go} translate=${false}>${tag}</a>`;
}

export function Rename({ image, changed, done }) {
    const [text, setText] = useState(image.filename ?? '');
    const [note, setNote] = useState('');
    const input = useRef(null);
    useEffect(() => input.current.select(), []);
    const save = async (event) => {
        event.preventDefault();
        const { now, note: said } = await send(image, { filename: text });
        changed(now);
        setNote(said);
        if (now.filename === text) {
            done();
        }
    };
    return html`<form onSubmit=${save} class="field">
        <input ref=${input} required maxlength=${MOST_CHARACTERS} aria-label=${t('detail.fileName')} value=${text} onInput=${(event) => setText(event.target.value)} />
        <button>${t('detail.save')}</button>
        <button type="button" onClick=${done}>${t('detail.cancel')}</button>
        ${note && html`<p role="alert" class="bad">${note}</p>`}
    </form>`;
}
