// The presets of the server, asked for once: which thumbnail to show, and what snippets may name.

import { call } from './api.js';
import { signal } from './vendor/preact.js';

/** The presets by name, each with its `side`: the longer side of its box, 0 if it has none. */
export const presets = signal(null);

function withSide(preset) {
    const box = /(?:^|,)box=(\d+)x(\d+)/.exec(preset.options ?? '');
    return { ...preset, side: box ? Math.max(Number(box[1]), Number(box[2])) : 0 };
}

/** Take over the presets that the server lists. */
export function take(listed) {
    presets.value = new Map(listed.map((one) => [one.name, withSide(one)]));
}

/** Ask for the presets. Without an answer there are none, and thumbnails are the first that there are. */
export async function loadPresets() {
    try {
        take((await call('/v1/presets')).json.presets);
    } catch {
        presets.value = new Map();
    }
}

/** Return the thumbnail of a listed image for so many pixels: the smallest that is enough, or the largest. */
export function thumbnailOf({ thumbnails = {} }, pixels) {
    const known = Object.keys(thumbnails).map((name) => ({ name, side: presets.value.get(name)?.side ?? 0 }));
    const boxed = known.filter(({ side }) => side).sort((one, other) => one.side - other.side);
    const best = boxed.find(({ side }) => side >= pixels) ?? boxed.at(-1) ?? known[0];
    return best && thumbnails[best.name];
}
