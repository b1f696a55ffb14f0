// The images of the grid: read page by page, and kept up to date by the stream of changes.

import { call } from './api.js';
import { apiQuery, matches } from './filters.js';
import { signal } from './vendor/preact.js';

const MOST_EMPTY = 10;

/** Whether an image comes after another one in a list: the newest is first. */
function isBehind(image, other) {
    const [mine, its] = [Date.parse(image.uploadedAt), Date.parse(other.uploadedAt)];
    return mine < its || (mine === its && image.imageId < other.imageId);
}

export class Listing {
    constructor() {
        this.images = signal([]);
        /** loading, more (there is another page), paused (nothing found for a while), end, failed or none */
        this.phase = signal('loading');
        /** Why the last page could not be read. */
        this.problem = signal(null);
        /** The time up to which the last page searched, or null. */
        this.searchedTo = signal(null);
        /** New images that match while the reader is further down. */
        this.fresh = signal([]);
        this.gone = new Set();
        this.early = [];
        this.reset({});
    }

    reset(values) {
        this.running?.abort();
        this.values = values;
        this.cursor = null;
        this.begun = false;
        this.searchedTo.value = null;
        this.fresh.value = [];
    }

    /** Read the first pages for values without faults, so many images at least if there are. */
    begin(values, least = 1) {
        this.reset(values);
        return this.load(least);
    }

    /** Show no images. */
    clear() {
        this.reset({});
        this.images.value = [];
        this.phase.value = 'none';
    }

    /** Read the next page. Pages may be empty: they are skipped, but not without an end. */
    async load(least = 1) {
        this.running?.abort();
        this.running = new AbortController();
        const { signal: aborted } = this.running;
        this.phase.value = 'loading';
        let found = 0;
        try {
            for (let empty = 0; empty < MOST_EMPTY; ) {
                const page = await this.page(aborted);
                found += page.length;
                empty = page.length ? 0 : empty + 1;
                if (!this.cursor || found >= least) {
                    this.phase.value = this.cursor ? 'more' : 'end';
                    return;
                }
            }
            this.phase.value = 'paused';
        } catch (error) {
            if (!aborted.aborted) {
                if (!this.begun) {
                    this.images.value = []; // they are of other values, or out of date
                }
                this.problem.value = error;
                this.phase.value = 'failed';
            }
        }
    }

    async page(aborted) {
        const after = this.cursor ? `&cursor=${encodeURIComponent(this.cursor)}` : '';
        const { json } = await call(`/v1/images?${apiQuery(this.values)}${after}`, { signal: aborted });
        const before = this.begun ? this.images.value : [];
        const known = new Set([...this.gone, ...before.map((one) => one.imageId)]);
        const page = json.images.filter((one) => !known.has(one.imageId));
        this.images.value = [...before, ...page];
        this.cursor = json.next;
        this.searchedTo.value = json.searchedTo;
        this.begun = true;
        this.early.splice(0).forEach((image) => this.change(image, true));
        return page;
    }

    /** Stop searching. */
    stop() {
        this.running?.abort();
        this.phase.value = 'paused';
    }

    /** Take over an image as it is now. A new one waits in `fresh`, unless the list is at its top. */
    change(image, atTop) {
        if (!this.begun) {
            this.early.push(image);
        } else if (image.status === 'erased') {
            this.remove(image.imageId);
        } else if (!replaceIn(this.images, image) && !replaceIn(this.fresh, image) && this.wants(image)) {
            const list = atTop ? this.images : this.fresh;
            const at = list.value.findIndex((one) => isBehind(one, image));
            list.value = list.value.toSpliced(at < 0 ? list.value.length : at, 0, image);
        }
    }

    /** Whether a new image belongs to the part of the list that is read. */
    wants(image) {
        const read = !this.cursor || Date.parse(image.uploadedAt) > Date.parse(this.searchedTo.value);
        return read && !this.gone.has(image.imageId) && matches(this.values, image);
    }

    /** Move the new images to the top of the list. */
    showFresh() {
        const fresh = this.fresh.value;
        this.fresh.value = [];
        fresh.forEach((image) => this.change(image, true));
    }

    /** Take an erased image out for good. */
    remove(imageId) {
        this.gone.add(imageId);
        for (const list of [this.images, this.fresh]) {
            if (list.value.some((one) => one.imageId === imageId)) {
                list.value = list.value.filter((one) => one.imageId !== imageId);
            }
        }
    }

    /** Take over the name and the tags of an image that was changed here. */
    update({ imageId, filename, tags }) {
        for (const list of [this.images, this.fresh]) {
            list.value = list.value.map((one) => (one.imageId === imageId ? { ...one, filename, tags } : one));
        }
    }

    /** Return the image so many places behind another one, or undefined. */
    neighbour(imageId, places) {
        const at = this.images.value.findIndex((one) => one.imageId === imageId);
        return at < 0 ? undefined : this.images.value[at + places];
    }
}

/** Replace an image that a list has. The stream is read from an index that may be late. */
function replaceIn(list, image) {
    const at = list.value.findIndex((one) => one.imageId === image.imageId);
    if (at < 0) {
        return false;
    }
    if (image.status !== 'pending' || list.value[at].status === 'pending') {
        list.value = list.value.with(at, image);
    }
    return true;
}
