// Calls the API of the server that the page comes from.

import { hasBegun, renewed } from './session.js';
import { t } from './words.js';

/** An answer of the API that is a problem (RFC 9457), or no answer at all (status 0). */
export class Problem extends Error {
    /**
     * @param {number} status
     * @param {{title?: string, detail?: string, type?: string, errors?: {pointer: string, detail: string}[], signIn?: object[]}} document
     * @param {number} retryAfter seconds, 0 if the answer names none
     */
    constructor(status, document = {}, retryAfter = 0) {
        super(document.errors?.[0]?.detail ?? document.detail ?? document.title ?? (status ? `${status}` : t('site.unreachable')));
        this.status = status;
        this.document = document;
        this.retryAfter = retryAfter;
    }

    /** Whether the same request may succeed later. */
    get passes() {
        return this.status === 0 || this.status === 429 || this.status >= 500;
    }
}

/**
 * Send a request, and return its JSON with the answer. If the session has ended, send it once the
 * user has signed in again; `waits` is called before. Throws a `Problem`, or the `AbortError` of the
 * signal.
 * @param {string} path
 * @param {{method?: string, body?: object, headers?: Record<string, string>, signal?: AbortSignal, waits?: () => void}} [options]
 */
export async function call(path, { method = 'GET', body, headers = {}, signal, waits = () => {} } = {}) {
    const request = {
        method,
        signal,
        headers: body ? { 'Content-Type': 'application/json', ...headers } : headers,
        body: body ? JSON.stringify(body) : undefined,
    };
    let answer = await send(path, request);
    while (answer.status === 401 && hasBegun()) {
        waits();
        await renewed(signal);
        answer = await send(path, request);
    }
    const isJson = /[/+]json\b/.test(answer.headers.get('Content-Type') ?? '');
    const json = isJson ? await read(answer) : {};
    if (!answer.ok) {
        throw new Problem(answer.status, json, Number(answer.headers.get('Retry-After') ?? 0));
    }
    return { json, answer };
}

/** Return the JSON of an answer. That of a refusal may be unreadable: its status is enough. */
async function read(answer) {
    try {
        return await answer.json();
    } catch (error) {
        if (answer.ok || isAbort(error)) {
            throw failureOf(error);
        }
        return {};
    }
}

const isAbort = (error) => error.name === 'AbortError';
const failureOf = (error) => (isAbort(error) ? error : new Problem(0));

async function send(path, request) {
    try {
        return await fetch(path, request);
    } catch (error) {
        throw failureOf(error);
    }
}
