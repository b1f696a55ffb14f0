// Repeats a request that the server asks to repeat.

const SECONDS_OF_A_LIMIT = 5;

/**
 * Try again when the server says so: too many requests, or a picture that is not there yet. `waits`
 * gets the seconds until then, and 0 at their end. Throws the errors of `act`, and the `AbortError` of
 * `ended`.
 */
export async function patiently(act, ended, waits = (/** @type {number} */ _seconds) => {}) {
    for (;;) {
        try {
            return await act();
        } catch (error) {
            const repeats = error.status === 429 || (error.retryAfter && [202, 503].includes(error.status));
            if (ended.aborted || !repeats) {
                throw error;
            }
            const seconds = error.retryAfter || SECONDS_OF_A_LIMIT;
            waits(seconds);
            await new Promise((wake) => setTimeout(wake, 1000 * seconds));
            ended.throwIfAborted();
            waits(0);
        }
    }
}
