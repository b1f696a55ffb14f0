// Shows one file of the list of uploads, in its state.

import { bytes, percent } from './format.js';
import { Name } from './name.js';
import { opener, pathOf } from './route.js';
import { html, useState } from './vendor/preact.js';
import { isUnsent } from './rows.js';
import { t } from './words.js';

const LEAST_PIXELS = 96;

/** `left` is called when the row is gone, to move the focus. */
export function Row({ row, uploads, left }) {
    const state = row.state.value;
    const { name } = row.file;
    const cancel = () => {
        uploads.cancel(row);
        left();
    };
    const again = () => {
        uploads.again(row);
        left();
    };
    return html`<li class="row" data-state=${state.kind}>
        <${Thumbnail} image=${state.image} />
        <div class="about">
            <${Name} name=${name} />
            <span class="quiet">${facts(row.file, state.image)}</span>
        </div>
        <div class="state">
            <span class=${`word ${state.kind}`}>${stateText(state)}</span>
            <${Progress} state=${state} name=${name} />
        </div>
        <div class="acts">
            ${isUnsent(row) && html`<button aria-label=${t('row.cancelName', { name })} onClick=${cancel}>${t('row.cancel')}</button>`}
            ${state.kind === 'failed' && row.canSend && html`<button aria-label=${t('row.againName', { name })} onClick=${again}>${t('row.again')}</button>`}
            ${state.image && html`<a class="button" href=${pathOf(row.imageId)} onClick=${opener(row.imageId)} aria-label=${t('row.openName', { name })}>${t('row.open')}</a>`}
        </div>
    </li>`;
}

function facts({ size }, image) {
    const { width, height } = image ?? {};
    return html`<span translate=${false}>${bytes(size)}</span>${width && html` · ${t('row.size', { width, height })}`}`;
}

function stateText({ kind, share, seconds, ended, reason, image }) {
    switch (kind) {
        case 'waiting':
            if (ended) {
                return t('signin.waiting');
            }
            return seconds ? t('row.waitingLonger', { n: seconds }) : t('row.waiting');
        case 'sending':
            return t('row.sending', { percent: percent(share) });
        case 'rendering':
            return t('row.rendering');
        case 'completed':
            return image.savingsPercent > 0
                ? t('row.completedSmaller', { percent: percent(image.savingsPercent, 1) })
                : t('row.completed');
        default:
            return t(`row.${kind}`, { reason });
    }
}

function Progress({ state: { kind, share }, name }) {
    if (kind === 'sending') {
        return html`<progress max="100" value=${share} aria-label=${t('row.sendingName', { name })} />`;
    }
    return kind === 'rendering' ? html`<progress aria-label=${t('row.renderingName', { name })} />` : null;
}

/** The smallest variant that is sharp at the size of a row. */
function thumbnailOf(image) {
    const variants = Object.values(image?.variants ?? {}).sort((one, other) => one.width - other.width);
    return variants.find(({ width, height }) => Math.min(width, height) >= LEAST_PIXELS) ?? variants.at(-1);
}

function Thumbnail({ image }) {
    const [broken, setBroken] = useState(false);
    const url = thumbnailOf(image)?.url;
    return html`<span class="thumb">${url && !broken && html`<img src=${url} alt="" loading="lazy" onError=${() => setBroken(true)} />`}</span>`;
}
