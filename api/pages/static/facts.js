// The facts of an image: its state, its source, and what was found in it.

import { Copy } from './copy.js';
import { bytes, moment, percent } from './format.js';
import { html } from './vendor/preact.js';
import { mediaTypeName } from './variants.js';
import { t } from './words.js';

const seconds = (milliseconds) => Math.round(milliseconds / 10) / 100;
const time = (at) => html`<time datetime=${at} translate=${false}>${moment(at)}</time>`;

export function Facts({ image }) {
    return html`<p class=${`word ${image.status}`}>${stateOf(image)}</p>
        <dl class="facts">${rowsOf(image).map(([key, value]) => html`<div><dt>${t(key)}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function stateOf({ status, detail, processingTimeMs, renderTimeMs, savingsPercent }) {
    switch (status) {
        case 'rejected':
            return t('row.rejected', { reason: detail });
        case 'pending':
            return t('detail.pending');
        default:
            return t(savingsPercent > 0 ? 'detail.completedSmaller' : 'detail.completed', {
                all: seconds(processingTimeMs),
                render: seconds(renderTimeMs),
                percent: percent(savingsPercent, 1),
            });
    }
}

function rowsOf(image) {
    const { uploadedAt, completedAt, keepUntil, mediaType, width, height, originalSize, dominantColour, sha256 } = image;
    const source = [mediaType && mediaTypeName(mediaType), width && `${width} × ${height}`, originalSize && bytes(originalSize)];
    const rows = [['detail.source', html`<span translate=${false}>${source.filter(Boolean).join(' · ')}</span>`]];
    rows.push(['detail.uploaded', time(uploadedAt)]);
    if (completedAt) {
        rows.push(['detail.settled', time(completedAt)]);
    }
    if (keepUntil) {
        rows.push(['detail.kept', time(keepUntil)]);
    }
    if (dominantColour) {
        rows.push(['detail.colour', html`<${Colour} value=${dominantColour} />`]);
    }
    if (sha256) {
        rows.push(['detail.sha', html`<span translate=${false} title=${sha256}>${sha256.slice(0, 12)}…</span> <${Copy} text=${sha256} name=${t('detail.theSha')} />`]);
    }
    return rows;
}

function Colour({ value }) {
    const fill = (one) => one && (one.style.backgroundColor = value);
    return html`<span class="swatch" aria-hidden="true" ref=${fill}></span> <span translate=${false}>${value}</span>`;
}
