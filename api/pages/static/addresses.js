// The URLs of the variants of an image. Those of presets that are not public are signed by the API.

import { call } from './api.js';
import { patiently } from './patience.js';
import { presets } from './presets.js';

const SECONDS = 3600;
const EXTENSIONS = { jpeg: 'jpg' };

/** Whether the URLs of a preset expire. */
export const isPrivate = (preset) => presets.value.get(preset)?.access === 'private';

/** Whether delivery shows a preset without a signature. Without delivery, URLs are signed already. */
function isOpen(preset, session) {
    return !session.deliveryUrl || (presets.value.get(preset)?.access ?? 'public') === 'public';
}

/** Return the URL of each variant by preset: `{url, expires}`, or `{reason}` if there is none. */
export async function addressesOf({ imageId, variants }, session, signal) {
    const entries = Object.entries(variants).map(async ([preset, { url }]) => {
        return [preset, isOpen(preset, session) ? { url } : await signed(imageId, preset, undefined, signal)];
    });
    return Object.fromEntries(await Promise.all(entries));
}

/** Return the URL of a preset in a format, or in the best one for a viewer without one. */
export async function addressOf({ imageId }, preset, format, session, signal) {
    if (isOpen(preset, session)) {
        const extension = format ? `.${EXTENSIONS[format] ?? format}` : '';
        return { url: `${session.deliveryUrl}/${preset}/${imageId}${extension}` };
    }
    return signed(imageId, preset, format, signal);
}

async function signed(imageId, preset, format, signal) {
    const expires = isPrivate(preset);
    const body = { imageId, preset, format, expiresIn: expires ? SECONDS : undefined };
    const sign = () => call('/v1/urls', { method: 'POST', body, signal });
    try {
        const { url, off } = (await patiently(sign, signal)).json.urls.preset;
        return { url, reason: off, expires };
    } catch (error) {
        return { reason: error.message };
    }
}
