// Lists completed pictures, the newest first.

import { call } from './api.js';

const MOST_PAGES = 10;

/**
 * Return `images`, and `next` if there are more. Pages may be empty although others follow: the first
 * one with pictures is returned, if it is one of the first ten.
 * @param {Record<string, string | number>} words of the query
 * @param {AbortSignal} [signal]
 */
export async function newest(words, signal) {
    const query = new URLSearchParams({ status: 'completed', ...words });
    for (let read = 1; ; read += 1) {
        const { json: page } = await call(`/v1/images?${query}`, { signal });
        if (page.images.length || !page.next || read === MOST_PAGES) {
            return page;
        }
        query.set('cursor', page.next);
    }
}
