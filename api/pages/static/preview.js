// Renders what is tried, and a reference to compare it with. Nothing of it is stored by the server.

import { call, Problem } from './api.js';
import { patiently } from './patience.js';
import { signal } from './vendor/preact.js';

/** What browsers of today send for pictures, so that delivery chooses the format as for them. */
const ACCEPT = 'image/avif,image/webp,image/png,image/*,*/*;q=0.8';
const MOST_LOSSLESS_PIXELS = 2_000_000;
const LOSSY = /^(_$|format=|quality=|max-bytes=)/;
const KEPT = 8;

/**
 * The state of the preview. `urls` are the answers by dialect, and `seconds` how long it waits for
 * a limit of requests.
 */
export const view = signal({ image: '', busy: true, seconds: 0, problem: null, result: null, reference: null, urls: null, options: '' });
const kept = new Map();
let running = new AbortController();

function update(parts) {
    view.value = { ...view.value, ...parts };
}

const waits = (seconds) => update({ seconds });

/** Show what is tried: options, or one of the presets. The preview before is given up. */
export async function show(tried, presets) {
    running.abort();
    running = new AbortController();
    const { signal: ended } = running;
    const key = JSON.stringify([tried.image, tried.o, tried.preset, tried.format]);
    const stale = view.value.image === tried.image ? {} : { result: null, reference: null, urls: null };
    update({ busy: true, seconds: 0, problem: null, image: tried.image, ...stale });
    const closest = presets.find(({ name }) => name === tried.preset)?.options;
    const options = tried.preset ? closest : tried.o;
    const found = (result) => {
        const isLarge = result.width * result.height > MOST_LOSSLESS_PIXELS;
        const lossless = options && withoutLoss(options, isLarge);
        update({ result, reference: known(keyOf(tried.image, lossless)) ?? null });
        return lossless;
    };
    let issued = null;
    try {
        if (known(key)) {
            found(known(key)); // at once, before the server answers
        }
        issued = await patiently(() => sign(bodyOf(tried), ended), ended, waits);
        update({ urls: issued.urls, options: issued.options });
        const lossless = found(known(key) ?? (await rendered(issued.preview ?? issued.urls.preset, key, ended)));
        update({ reference: lossless ? await referenceOf(tried.image, lossless, ended) : null, busy: false });
    } catch (problem) {
        if (!ended.aborted) {
            update({ problem, busy: false, ...(issued ? {} : { urls: null }) });
        }
    }
}

function bodyOf({ image, o, preset, format, expires }) {
    const shared = { imageId: image, ...(expires ? { expiresIn: Number(expires) } : {}) };
    return preset ? { ...shared, preset, ...(format ? { format } : {}) } : { ...shared, options: o, preview: true };
}

async function sign(body, ended) {
    return (await call('/v1/urls', { method: 'POST', body, signal: ended })).json;
}

/** Return options for the same picture as they ask for, without loss, or nearly so if it is large. */
function withoutLoss(options, isLarge) {
    const kept = options.split(',').filter((word) => !LOSSY.test(word));
    return [...kept, isLarge ? 'format=jpeg,quality=98' : 'format=png'].join(',');
}

const keyOf = (image, options) => JSON.stringify([image, options]);

/** Return a picture that was rendered before, if it is kept. It is then kept for longer. */
function known(key) {
    const one = kept.get(key);
    if (one) {
        kept.delete(key);
        kept.set(key, one);
    }
    return one;
}

/** A picture without a reference is still of use. */
async function referenceOf(image, options, ended) {
    try {
        return await small(image, options, ended);
    } catch (problem) {
        ended.throwIfAborted();
        return { problem };
    }
}

/** Return a rendered picture with these options. Throws a `Problem`, or the `AbortError` of `ended`. */
export async function small(image, options, ended) {
    const key = keyOf(image, options);
    const body = { imageId: image, options, preview: true };
    return known(key) ?? rendered((await patiently(() => sign(body, ended), ended, waits)).preview, key, ended);
}

async function rendered({ url, off, refused }, key, ended) {
    if (!url) {
        throw new Problem(501, { detail: off ?? refused });
    }
    const { blob, seconds, timing } = await patiently(() => got(new URL(url, location.href), ended), ended, waits);
    const element = new Image();
    element.src = URL.createObjectURL(blob);
    await element.decode();
    const { naturalWidth: width, naturalHeight: height } = element;
    const one = { url: element.src, size: blob.size, type: blob.type, width, height, seconds, timing };
    kept.set(key, one);
    if (kept.size > KEPT) {
        const [oldest, { url: old }] = kept.entries().next().value;
        kept.delete(oldest);
        URL.revokeObjectURL(old);
    }
    return one;
}

async function got(url, ended) {
    const started = performance.now();
    let answer;
    try {
        answer = await fetch(url, { signal: ended, headers: { Accept: ACCEPT } });
    } catch (error) {
        throw error.name === 'AbortError' ? error : new Problem(0, { title: url.origin });
    }
    if (answer.status !== 200) {
        const document = await answer.json().catch(() => ({}));
        throw new Problem(answer.status, document, Number(answer.headers.get('Retry-After') ?? 0));
    }
    const blob = await answer.blob();
    const seconds = (performance.now() - started) / 1000;
    return { blob, seconds, timing: answer.headers.get('Server-Timing') ?? '' };
}
