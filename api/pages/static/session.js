// The session of a page. When it ends, calls wait until the user has signed in again, in any tab.

import { signal } from './vendor/preact.js';

const SIGN_IN = '/ui/sign-in';

/** Whether the session has ended while the page is open. */
export const ended = signal(false);

const channel = new BroadcastChannel('session');
let user = null;
let waiting = null;

/** Remember whose page this is. Pages of the same user whose session had ended continue. */
export function begin(userId) {
    user = userId;
    channel.postMessage(userId);
}

channel.onmessage = ({ data }) => {
    if (user !== null && data !== user) {
        location.reload(); // another user has signed in: what this page shows and sends is not theirs
        return;
    }
    ended.value = false;
    waiting?.resolve();
    waiting = null;
};

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
    return `${SIGN_IN}?to=${encodeURIComponent(location.pathname + location.search)}`;
}
