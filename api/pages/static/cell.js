// One image of the grid: a link with a thumbnail, or with the state of an image that has none.

import { Name } from './name.js';
import { colourOf, onceSeen, paint } from './placeholder.js';
import { presets, thumbnailOf } from './presets.js';
import { opener, pathOf } from './route.js';
import { html, useEffect, useRef, useState } from './vendor/preact.js';
import { t } from './words.js';

const PIXELS = 150;

export function Cell({ image }) {
    const { imageId, status } = image;
    const name = image.filename ?? imageId;
    return html`<li>
        <a class="cell" href=${pathOf(imageId)} data-image=${imageId} aria-label=${t(`cell.${status}`, { name })} onClick=${opener(imageId)}>
            <${Shot} image=${image} name=${name} />
            <${Name} name=${name} />
        </a>
    </li>`;
}

function Shot({ image: { status, placeholder, ...image }, name }) {
    const box = useRef(null);
    const [{ loaded, broken, painted }, setState] = useState({});
    const url = presets.value && thumbnailOf(image, PIXELS * devicePixelRatio);
    useEffect(() => {
        box.current.style.backgroundColor = placeholder ? colourOf(placeholder) : '';
        return placeholder && onceSeen(box.current, () => {
            requestAnimationFrame(() => setState((state) => ({ ...state, painted: !state.loaded })));
        });
    }, [placeholder]);
    const set = (change) => () => setState((state) => ({ ...state, ...change }));
    return html`<span class="shot" data-status=${status} ref=${box}>
        ${painted && !loaded && html`<canvas aria-hidden="true" ref=${(canvas) => canvas && paint(canvas, placeholder)} />`}
        ${url && broken !== url && html`<img src=${url} alt=${name} translate=${false} loading="lazy" onLoad=${set({ loaded: true })} onError=${set({ broken: url })} />`}
        ${status !== 'completed' && html`<span class="word ${status}">${t(`status.${status}`)}</span>`}
    </span>`;
}
