// Chooses the picture of the playground: one of the last ones, or one whose file name begins as typed.

import { Name } from './name.js';
import { newest } from './newest.js';
import { presets, take, thumbnailOf } from './presets.js';
import { change, tried } from './tried.js';
import { html, useEffect, useState } from './vendor/preact.js';
import './words-parts.js';
import { t } from './words.js';

const MOST = 30;
const PIXELS = 150;
const QUIET_MILLISECONDS = 250;

/** `known` are the presets of the server, once they are there. */
export function PicturePicker({ presets: known }) {
    const [start, setStart] = useState('');
    const [found, setFound] = useState({ images: [], state: 'play.searching' });
    useEffect(() => known && take(known), [known]);
    useEffect(() => {
        const ended = new AbortController();
        const timer = setTimeout(
            async () => {
                try {
                    const { images, next } = await newest({ limit: MOST, ...(start && { filename: start }) }, ended.signal);
                    setFound({ images, next, state: next ? 'play.noneSoFar' : start ? 'play.noneFound' : 'play.noneYet' });
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
    const { images, next, state, problem } = found;
    return html`<label class="field">
            ${t('play.search')}
            <input type="search" value=${start} onInput=${(event) => setStart(event.target.value)} />
        </label>
        ${problem && html`<p class="bad" role="alert">${t('play.failed', { reason: problem.message })}</p>`}
        ${!problem && !images.length && html`<p class="quiet">${t(state)} <a href="/ui/">${t('play.upload')}</a></p>`}
        <ul class="strip">
            ${images.map((one) => html`<${Cell} key=${one.imageId} image=${one} />`)}
        </ul>
        ${next && images.length > 0 && html`<p class="quiet">${t('play.more', { n: images.length })}</p>`}`;
}

function Cell({ image: { imageId, filename, thumbnails } }) {
    const choose = (event) => {
        if (!event.ctrlKey && !event.metaKey && !event.shiftKey) {
            event.preventDefault();
            change({ image: imageId });
        }
    };
    const url = presets.value && thumbnailOf({ thumbnails }, PIXELS * devicePixelRatio);
    return html`<li>
        <a href=${`?image=${imageId}`} aria-current=${tried.value.image === imageId} onClick=${choose}>
            <span class="thumb">${url && html`<img src=${url} alt="" loading="lazy" />`}</span>
            <${Name} name=${filename ?? imageId} />
        </a>
    </li>`;
}
