// Writes HTML that shows a picture on other people's pages. Pure, apart from signing URLs.

import { addressOf } from './addresses.js';
import { mediaTypeOf } from './filters.js';
import { presets } from './presets.js';

export const KINDS = ['picture', 'srcset', 'url'];
const SAME_SHAPE = 0.02;
const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Escape a text for an attribute in double quotes. */
export function escaped(text) {
    return text.replace(/[&<>"']/g, (one) => ESCAPES[one]);
}

function attributes(pairs) {
    const set = Object.entries(pairs).filter(([, value]) => value !== undefined);
    return set.map(([name, value]) => ` ${name}="${escaped(String(value))}"`).join('');
}

function common(image, { width, height }) {
    const colour = image.dominantColour;
    return { width, height, alt: image.filename ?? '', style: colour && `background-color: ${colour}` };
}

/**
 * List variants of the same shape as one, the narrowest first: others would show another part of the
 * picture. A `srcset` has each width once, the one's width by itself.
 */
function sameShape(variants, preset) {
    const { width, height } = variants[preset];
    const shape = width / height;
    const alike = Object.entries(variants).filter(([, one]) => Math.abs(one.width / one.height / shape - 1) < SAME_SHAPE);
    alike.sort(([, one], [, other]) => one.width - other.width);
    const names = new Map(alike.map(([name, one]) => [one.width, name]));
    return [...names.set(width, preset)];
}

/**
 * Return the text of a snippet. Throws an error with the reason if a URL cannot be had.
 * @param {'picture' | 'srcset' | 'url'} kind
 */
export async function snippetOf(kind, image, preset, session, signal) {
    const urlOf = async (name, format) => {
        const { url, reason } = await addressOf(image, name, format, session, signal);
        if (!url) {
            throw new Error(reason);
        }
        return url;
    };
    const variant = image.variants[preset];
    if (kind === 'url') {
        return urlOf(preset);
    }
    if (kind === 'srcset') {
        const sizes = sameShape(image.variants, preset);
        const set = await Promise.all(sizes.map(async ([width, name]) => `${await urlOf(name)} ${width}w`));
        const source = { src: await urlOf(preset), srcset: set.join(', '), sizes: `${variant.width}px` };
        return `<img${attributes({ ...source, ...common(image, variant) })}>`;
    }
    const formats = presets.value.get(preset)?.formats ?? [];
    const better = formats.slice(0, -1).map(async (format) => {
        return `  <source${attributes({ type: mediaTypeOf(format), srcset: await urlOf(preset, format) })}>\n`;
    });
    const sources = (await Promise.all(better)).join('');
    const img = { src: await urlOf(preset, formats.at(-1)), ...common(image, variant) };
    return `<picture>\n${sources}  <img${attributes(img)}>\n</picture>`;
}
