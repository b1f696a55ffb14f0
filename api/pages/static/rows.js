// The rows of the list of uploads. Each file has one, with one state at a time, whose `kind` is:
// waiting, sending, rendering (under way), completed, rejected, failed or lost (finished).

import { signal } from './vendor/preact.js';

const UNSENT = new Set(['waiting', 'sending']);
const UNDER_WAY = new Set([...UNSENT, 'rendering']);

/** Return a row that waits. Every request for it has its key, and so means the same image. */
export function newRow(file, tags) {
    const state = signal({ kind: 'waiting' });
    return { key: crypto.randomUUID(), file, tags, state, canSend: true, cancelled: false, renewed: false };
}

export const isUnsent = (row) => UNSENT.has(row.state.value.kind);
export const isUnderWay = (row) => UNDER_WAY.has(row.state.value.kind);

/** Return what two choices of the same file have in common. */
export function identity({ name, size, lastModified }) {
    return JSON.stringify([name, size, lastModified]);
}
