// Shows the uploads of a page: the zone to drop files on, the tags, and a row for each file.

import { tagsOf } from './filters.js';
import { formatName, limit } from './format.js';
import { bind } from './keys.js';
import { whenIdle } from './lazy.js';
import { say } from './shell.js';
import { isUnderWay } from './rows.js';
import { Row } from './upload-row.js';
import { Uploads } from './uploads.js';
import { createRef, html, signal, useEffect, useMemo } from './vendor/preact.js';
import { t } from './words.js';

const dragging = signal(false);
const tagText = signal('');
const input = createRef();
const heading = createRef();

function faultOf(tags, { tags: most, tagCharacters }) {
    const long = tags.find((tag) => [...tag].length > tagCharacters);
    if (tags.length > most) {
        return t('upload.tooManyTags', { n: most });
    }
    return long ? t('upload.tagTooLong', { n: tagCharacters, tag: long }) : '';
}

/** The files of a drop, without folders. */
function filesOf({ items }) {
    const files = [...items].filter((item) => item.kind === 'file' && !item.webkitGetAsEntry?.()?.isDirectory);
    return files.map((item) => item.getAsFile()).filter(Boolean);
}

function listenToDrops(add) {
    const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');
    let depth = 0;
    const on = {
        dragenter: () => (depth += 1),
        dragover: () => {},
        dragleave: () => (depth -= 1),
        drop: (event) => {
            depth = 0;
            add(filesOf(event.dataTransfer));
        },
    };
    for (const [name, act] of Object.entries(on)) {
        addEventListener(name, (event) => {
            if (carriesFiles(event)) {
                event.preventDefault();
                act(event);
                dragging.value = depth > 0;
            }
        });
    }
}

/** The part of a page that uploads. */
export function UploadPanel({ session }) {
    const uploads = useMemo(() => new Uploads(session, say), []);
    const tags = tagsOf(tagText.value);
    const fault = faultOf(tags, session.limits);
    const add = (files) => {
        const now = tagsOf(tagText.value);
        if (faultOf(now, session.limits)) {
            document.getElementById('tags').focus();
        } else {
            uploads.add(files, now);
        }
    };
    useEffect(() => {
        listenToDrops(add);
        bind('u', 'keys.choose', () => input.current.click());
        whenIdle(() => uploads.ready().catch(() => {})); // adding files tries again
    }, []);
    return html`<section aria-labelledby="upload-title" class="panel">
            <h2 id="upload-title" class="unseen">${t('upload.title')}</h2>
            <${DropZone} session=${session} add=${add} />
            <div class="field">
                <label for="tags">${t('upload.tags')}</label>
                <input
                    id="tags"
                    value=${tagText.value}
                    aria-invalid=${Boolean(fault)}
                    aria-describedby="tags-hint"
                    onInput=${(event) => (tagText.value = event.target.value)}
                />
                <p id="tags-hint" class=${fault ? 'bad' : 'quiet'}>${fault || t('upload.tagsHint')}</p>
            </div>
        </section>
        <${List} uploads=${uploads} />`;
}

function DropZone({ session, add }) {
    const formats = session.readable.map(formatName).join(' ');
    const choose = (event) => {
        add([...event.target.files]);
        event.target.value = ''; // the same file may be chosen again
    };
    return html`<div class=${`drop ${dragging.value ? 'over' : ''}`}>
        <p class="quiet">${dragging.value ? t('upload.dropHere') : t('upload.drop')}</p>
        <label class="button">
            ${t('upload.choose')}
            <input ref=${input} type="file" class="unseen" multiple accept="image/*,.heic,.heif" onChange=${choose} />
        </label>
        <p class="quiet">${t('upload.limits', { formats, size: limit(session.limits.uploadBytes) })}</p>
    </div>`;
}

function List({ uploads }) {
    const rows = uploads.rows.value;
    if (!rows.length) {
        return null;
    }
    return html`<section aria-labelledby="list-title">
        <${Bar} uploads=${uploads} />
        <ul class="rows">
            ${rows.map((row) => html`<${Row} key=${row.key} row=${row} uploads=${uploads} left=${refocus} />`)}
        </ul>
    </section>`;
}

/** Keep the focus near a button that is gone. */
function refocus() {
    setTimeout(() => (heading.current ?? input.current).focus());
}

function Bar({ uploads }) {
    const rows = uploads.rows.value;
    const count = (kind) => rows.filter((row) => row.state.value.kind === kind).length;
    const under = rows.filter(isUnderWay).length;
    const parts = [t('list.finished', { finished: rows.length - under, n: rows.length })];
    for (const kind of ['rejected', 'failed']) {
        if (count(kind)) {
            parts.push(t(`list.${kind}`, { n: count(kind) }));
        }
    }
    const again = rows.some((row) => row.canSend && row.state.value.kind === 'failed');
    const hide = () => {
        uploads.hideFinished();
        refocus();
    };
    return html`<div class="bar">
        <h2 id="list-title" ref=${heading} tabindex="-1">${t('list.title')}</h2>
        <p class="quiet">${parts.reduce((first, second) => t('list.and', { first, second }))}</p>
        ${again && html`<button onClick=${() => uploads.againAll()}>${t('list.again')}</button>`}
        ${rows.length > under && html`<button onClick=${hide}>${t('list.hide')}</button>`}
    </div>`;
}
