// Chooses the picture of the playground: one of the last ones, or one whose file name begins as typed.

import { call } from './api.js';
import { halves } from './format.js';
import { change, tried } from './tried.js';
import { html, useEffect, useState } from './vendor/preact.js';
import './words-parts.js';
import { t } from './words.js';

const MOST = 30;
const QUIET_MILLISECONDS = 250;

/** List completed pictures, the newest first. */
async function listed(start, signal) {
    const query = new URLSearchParams({ status: 'completed', limit: `${MOST}` });
    if (start) {
        query.set('filename', start);
    }
    return (await call(`/v1/images?${query}`, { signal })).json.images;
}

export function PicturePicker() {
    const [start, setStart] = useState('');
    const [found, setFound] = useState({ images: [], state: 'play.searching' });
    useEffect(() => {
        const ended = new AbortController();
        const timer = setTimeout(
            async () => {
                try {
                    const images = await listed(start, ended.signal);
                    setFound({ images, state: start ? 'play.noneFound' : 'play.noneYet' });
                } catch (problem) {
                    if (!ended.signal.aborted) {
                        setFound({ images: [], problem });
                    }
                }
            },
            start ? QUIET_MILLISECONDS : 0,
        );
        return () => {
            clearTimeout(timer);
            ended.abort();
        };
    }, [start]);
    const { images, state, problem } = found;
    return html`<label class="field">
            ${t('play.search')}
            <input type="search" value=${start} onInput=${(event) => setStart(event.target.value)} />
        </label>
        ${problem && html`<p class="bad" role="alert">${t('play.failed', { reason: problem.message })}</p>`}
        ${!problem && !images.length && html`<p class="quiet">${t(state)} <a href="/ui/">${t('play.upload')}</a></p>`}
        <ul class="strip">
            ${images.map((one) => html`<${Cell} key=${one.imageId} image=${one} />`)}
        </ul>`;
}

function Cell({ image: { imageId, filename, thumbnails } }) {
    const [first, last] = halves(filename ?? imageId);
    const choose = (event) => {
        if (!event.ctrlKey && !event.metaKey && !event.shiftKey) {
            event.preventDefault();
            change({ image: imageId });
        }
    };
    const url = Object.values(thumbnails ?? {})[0];
    return html`<li>
        <a href=${`?image=${imageId}`} aria-current=${tried.value.image === imageId} title=${filename} translate=${false} onClick=${choose}>
            <span class="thumb">${url && html`<img src=${url} alt="" loading="lazy" />`}</span>
            <span class="name"><span>${first}</span><span>${last}</span></span>
        </a>
    </li>`;
}
