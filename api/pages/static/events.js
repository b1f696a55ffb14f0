// Follows images: by the stream of events, and by asking for each image while the stream is broken.
//
// A listener hears of every change of the user's images. `settled` waits for one image.

import { call, Problem } from './api.js';

const STREAM = '/v1/events';
const SECONDS_BETWEEN_ASKING = 1;
/** A proxy may hold the events of a stream back, so followed images are asked for in any case. */
const SECONDS_BETWEEN_CHECKS = 15;

const listeners = new Set();
const awaited = new Map();
let stream = null;
let streaming = false;
let begun = false;
let timer = 0;

/**
 * Call a function with every changed image, as `GET /v1/images` lists it, and with null when changes
 * may have been missed, because the stream has begun again. Returns a function that ends this.
 */
export function listen(listener) {
    listeners.add(listener);
    connect();
    return () => {
        listeners.delete(listener);
        rest();
    };
}

/**
 * Return a promise of an image once it is completed or rejected. Throws a `Problem` if it is gone.
 * The signal ends the waiting, without an answer.
 */
export function settled(imageId, signal) {
    const found = awaited.get(imageId) ?? { ...Promise.withResolvers(), waiters: 0 };
    awaited.set(imageId, found);
    found.waiters += 1;
    signal?.addEventListener('abort', () => leave(imageId, found), { once: true });
    connect();
    schedule(SECONDS_BETWEEN_ASKING);
    return found.promise;
}

/** Ask no more for an image when the last that waits for it leaves. */
function leave(imageId, found) {
    found.waiters -= 1;
    if (!found.waiters && awaited.get(imageId) === found) {
        awaited.delete(imageId);
        rest();
    }
}

function connect() {
    if (stream) {
        return;
    }
    stream = new EventSource(STREAM);
    stream.addEventListener('open', () => {
        streaming = true;
    });
    stream.addEventListener('error', () => {
        streaming = false;
        if (stream?.readyState === EventSource.CLOSED) {
            stream = null; // refused, such as by 429: the next check tries again
        }
        schedule(SECONDS_BETWEEN_ASKING);
    });
    stream.addEventListener('start', () => {
        if (begun) {
            listeners.forEach((each) => each(null));
        }
        begun = true;
    });
    stream.addEventListener('image', (event) => {
        const image = JSON.parse(event.data);
        listeners.forEach((each) => each(image));
        if (image.status !== 'pending' && awaited.has(image.imageId)) {
            ask(image.imageId);
        }
    });
}

function rest() {
    if (listeners.size || awaited.size) {
        return;
    }
    stream?.close();
    stream = null;
    streaming = false;
    begun = false;
    clearTimeout(timer);
    timer = 0;
}

function schedule(seconds) {
    clearTimeout(timer);
    timer = setTimeout(check, 1000 * seconds);
}

async function check() {
    timer = 0;
    if (!listeners.size && !awaited.size) {
        return;
    }
    const pauses = await Promise.all([...awaited.keys()].map(ask));
    if (!stream) {
        await call('/v1/session').catch(() => {}); // waits if the session has ended
        connect();
    }
    const soonest = Math.max(SECONDS_BETWEEN_ASKING, ...pauses);
    schedule(streaming ? SECONDS_BETWEEN_CHECKS : soonest);
}

/** Ask for an image. Returns after how many seconds to ask again. */
async function ask(imageId) {
    try {
        const { json: image, answer } = await call(`/v1/images/${imageId}`);
        if (image.status !== 'pending') {
            finish(imageId, (one) => one.resolve(image));
        }
        return Number(answer.headers.get('Retry-After') ?? 0);
    } catch (error) {
        if (error instanceof Problem && error.passes) {
            return error.retryAfter;
        }
        finish(imageId, (one) => one.reject(error));
        return 0;
    }
}

function finish(imageId, end) {
    const one = awaited.get(imageId);
    awaited.delete(imageId);
    if (one) {
        end(one);
    }
    rest();
}
