// Asks the API for the form that uploads one file, again while that may help.

import { call } from './api.js';

const TRIES = 4;
const SECONDS_BEFORE_A_TRY = 0.5;
const SECONDS_OF_A_LIMIT = 10;

/**
 * Return the ticket of a row. Its key makes every request mean the same image. Throws a `Problem`.
 * A user who has asked too often waits, as long as the row is not cancelled.
 */
export async function ticketFor(row) {
    const { name, type, size } = row.file;
    const body = { filename: name, contentType: type, size, tags: row.tags };
    const headers = { 'Idempotency-Key': row.key };
    const waits = () => {
        row.state.value = { kind: 'waiting', ended: true };
    };
    for (let tried = 1; ; tried += 1) {
        try {
            return (await call('/v1/uploads', { method: 'POST', body, headers, waits })).json;
        } catch (error) {
            const limited = error.status === 429;
            if (row.cancelled || !error.passes || (!limited && tried === TRIES)) {
                throw error;
            }
            const seconds = error.retryAfter || (limited ? SECONDS_OF_A_LIMIT : SECONDS_BEFORE_A_TRY * 2 ** tried);
            row.state.value = limited ? { kind: 'waiting', seconds } : row.state.value;
            await new Promise((wake) => setTimeout(wake, 1000 * seconds));
        }
    }
}
