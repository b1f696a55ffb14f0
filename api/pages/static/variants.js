// The table of the variants of an image.

import { Copy } from './copy.js';
import { bytes, formatName, percent } from './format.js';
import { html } from './vendor/preact.js';
import { t } from './words.js';

const UNKNOWN = { url: '', reason: '' };
const COLUMNS = ['format', 'size', 'bytes', 'share', 'quality', 'score', 'url'];

/** Return the name of a media type for people, such as `WebP` for `image/webp`. */
export const mediaTypeName = (mediaType) => formatName(mediaType.replace(/^image\/|\+xml$/g, ''));

export function Variants({ image, addresses }) {
    const expires = Object.values(addresses ?? {}).some((one) => one.expires);
    const failed = Object.entries(image.failedVariants ?? {});
    return html`<section aria-labelledby="variants-title">
        <h3 id="variants-title">${t('detail.variants')}</h3>
        <div class="wide" role="region" aria-labelledby="variants-title" tabindex="0">
            <table>
                <thead><tr>
                    <th scope="col">${t('detail.variant')}</th>
                    ${COLUMNS.map((column) => html`<th scope="col">${t(`detail.${column}`)}</th>`)}
                </tr></thead>
                <tbody>
                    ${Object.entries(image.variants).map(([name, variant]) => html`<${Variant} key=${name} name=${name} variant=${variant} source=${image.originalSize} address=${addresses?.[name]} />`)}
                    ${failed.map(([name, reason]) => html`<tr key=${name}>
                        <th scope="row" translate=${false}>${name}</th>
                        <td colspan=${COLUMNS.length} class="bad">${t('detail.failed', { reason })}</td>
                    </tr>`)}
                </tbody>
            </table>
        </div>
        ${expires && html`<p class="quiet">${t('detail.expires')}</p>`}
    </section>`;
}

function Variant({ name, variant, source, address = UNKNOWN }) {
    const { mediaType, width, height, size, quality, score } = variant;
    return html`<tr>
        <th scope="row" translate=${false}>${name}</th>
        <td translate=${false}>${mediaTypeName(mediaType)}</td>
        <td translate=${false}>${width} × ${height}</td>
        <td translate=${false}>${bytes(size)}</td>
        <td translate=${false}>${percent((100 * size) / source, 1)}</td>
        <td translate=${false}>${quality ?? '–'}</td>
        <td translate=${false}>${score ?? '–'}</td>
        <td><div class="acts">${address.url
            ? html`<${Copy} text=${address.url} name=${t('detail.urlOf', { name })} />
                <a class="button" href=${address.url} target="_blank" rel="noopener" aria-label=${t('detail.openUrl', { name })}>${t('detail.open')}</a>`
            : address.reason && html`<span class="quiet">${t('detail.noUrl', { reason: address.reason })}</span>`}</div></td>
    </tr>`;
}
