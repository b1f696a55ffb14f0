// The address of the page: which picture is open, and the filters in the query.
//
// A picture that is opened from the grid is shown over it, and Back closes it. The same address
// opened directly is a page.

import { signal } from './vendor/preact.js';

const GRID = '/ui/';
const PICTURE = '/ui/pictures/';

function read() {
    const { pathname, search } = location;
    const imageId = pathname.startsWith(PICTURE) ? pathname.slice(PICTURE.length) : null;
    return { imageId, search, over: Boolean(history.state?.over) };
}

/** The open picture or null, the query, and whether the picture is over the grid. */
export const route = signal(read());
addEventListener('popstate', () => (route.value = read()));

/** Return the address of a picture, with the filters of the grid. */
export const pathOf = (imageId) => `${PICTURE}${imageId}${location.search}`;

/** Return the address of the grid with a query, or with the present one. */
export const gridPath = (query = location.search) => GRID + query;

function go(change, state, path) {
    history[change](state, '', path);
    route.value = read();
}

/** Open a picture over the grid. */
export function open(imageId) {
    go('pushState', { over: true }, pathOf(imageId));
}

/** Show another picture in place of the one that is open. */
export function step(imageId) {
    go('replaceState', history.state, pathOf(imageId));
}

/** Show the grid with a query, such as `?tag=cats`. */
export function search(query) {
    if (gridPath(query) !== location.pathname + location.search) {
        go('pushState', null, gridPath(query));
    }
}

/** Return a handler that opens a picture over the grid, unless the browser is asked for a new tab. */
export function opener(imageId) {
    return (event) => {
        if (!(event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)) {
            event.preventDefault();
            open(imageId);
        }
    };
}
