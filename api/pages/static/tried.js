// What a user tries on the playground: a picture, with options or a preset. The page's address has
// it all, so it can be shared, and Back undoes a change.

import { signal } from './vendor/preact.js';

const NAMES = ['image', 'o', 'preset', 'format', 'expires'];
const START = 'box=900x900,format=webp,quality=80';
const QUIET_MILLISECONDS = 150;

/** @typedef {{image: string, o: string, preset: string, format: string, expires: string}} Tried */

/** What the form shows. @type {{value: Tried}} */
export const tried = signal(read());
/** What was tried once nothing had changed for a moment: what the preview shows. @type {{value: Tried}} */
export const settled = signal(tried.value);
/** What was tried before that; null at first. @type {{value: Tried | null}} */
export const before = signal(null);
let timer = 0;

/** @returns {Tried} */
function read() {
    const query = new URLSearchParams(location.search);
    const [image, o, preset, format, expires] = NAMES.map((name) => query.get(name) ?? '');
    return { image, o: o || preset ? o : START, preset, format, expires };
}

/** Return the address of the page with what is tried. The words of options stay readable. */
function addressOf(wanted) {
    const query = new URLSearchParams(location.search);
    NAMES.forEach((name) => (wanted[name] ? query.set(name, wanted[name]) : query.delete(name)));
    return `?${query}`.replace(/%3D/g, '=').replace(/%2C/g, ',').replace(/%3A/g, ':');
}

/** Change some of what is tried. A moment later the address and the preview follow, unless it is `held`. */
export function change(parts, held = false) {
    tried.value = { ...tried.value, ...parts };
    clearTimeout(timer);
    timer = held ? 0 : setTimeout(() => settle('pushState'), QUIET_MILLISECONDS);
}

/** Take a picture that the user did not choose. Back does not lead to the page without it. */
export function begin(image) {
    tried.value = { ...tried.value, image };
    settle('replaceState');
}

/** Return to what was tried before, and from there to what is tried now. */
export function swap() {
    if (before.value) {
        change(before.value);
    }
}

function settle(how) {
    const address = addressOf(tried.value);
    if (how && address !== addressOf(settled.value)) {
        history[how](null, '', address);
    }
    if (NAMES.some((name) => tried.value[name] !== settled.value[name])) {
        before.value = settled.value.image === tried.value.image ? settled.value : null;
        settled.value = tried.value;
    }
}

addEventListener('popstate', () => {
    clearTimeout(timer);
    tried.value = read();
    settle('');
});
