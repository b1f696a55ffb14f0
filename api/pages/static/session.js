// The session of a page. When it ends, calls wait until the user has signed in again.

import { signal } from './vendor/preact.js';

/** Whether the session has ended while the page is open. */
export const ended = signal(false);

const channel = new BroadcastChannel('session');
let user = null;
let waiting = null;

/** Remember whose page this is. Other pages of the user continue. */
export function begin(userId) {
    user = userId;
    channel.postMessage(userId);
}

export const end = () => channel.postMessage(null);

channel.onmessage = ({ data }) => {
    if (data === null) {
        ended.value = user !== null;
    } else if (user !== null && data !== user) {
        location.reload(); // what this page shows and sends is not theirs
    } else {
        ended.value = false;
        waiting?.resolve();
        waiting = null;
    }
};

// Back may show a page from before a sign-out.
addEventListener('pageshow', ({ persisted }) => {
    if (persisted) {
        document.body.hidden = true;
        location.reload();
    }
});

/** Whether the page has begun, so that a refused call means that the session has ended. */
export const hasBegun = () => user !== null;

/** Wait until the user has signed in again. Throws the reason of an abort. */
export function renewed(abort) {
    ended.value = true;
    waiting ??= Promise.withResolvers();
    if (!abort) {
        return waiting.promise;
    }
    const aborted = Promise.withResolvers();
    abort.addEventListener('abort', () => aborted.reject(abort.reason), { once: true });
    return Promise.race([waiting.promise, aborted.promise]);
}

/** Return the address of the sign-in that leads back here. */
export function signInUrl() {
    return `/ui/sign-in?to=${encodeURIComponent(location.pathname + location.search)}`;
}
