// The receipt of an erased image, until it is complete.

import { call } from './api.js';
import { Copy } from './copy.js';
import { bytes, moment } from './format.js';
import { html, useEffect, useState } from './vendor/preact.js';
import { t } from './words.js';

const SECONDS = [1, 2, 4, 8, 15];

/** Ask for a receipt until it is complete or aborted; `show` gets each. */
async function follow(url, signal, show) {
    for (let asked = 0; ; asked += 1) {
        let pause = SECONDS[Math.min(asked, SECONDS.length - 1)];
        try {
            const { json } = await call(url, { signal });
            show({ receipt: json });
            if (json.state === 'complete') {
                return;
            }
        } catch (error) {
            if (signal.aborted) {
                return;
            }
            if (!error.passes) {
                show({ reason: error.message });
                return;
            }
            pause = Math.max(pause, error.retryAfter);
        }
        await new Promise((wake) => setTimeout(wake, 1000 * pause));
        if (signal.aborted) {
            return;
        }
    }
}

export function Receipt({ url }) {
    const [{ receipt, reason }, setState] = useState({});
    useEffect(() => {
        const aborting = new AbortController();
        follow(url, aborting.signal, setState);
        return () => aborting.abort();
    }, [url]);
    if (!receipt) {
        return html`<p role=${reason ? 'alert' : undefined}>${reason ? t('erase.noReceipt', { reason }) : t('grid.loading')}</p>`;
    }
    return html`<section aria-labelledby="receipt-title" class="receipt">
        <h3 id="receipt-title">${t('erase.receipt')}</h3>
        <p role="status">${t(`erase.${receipt.state}`)}</p>
        <dl class="facts">${rowsOf(receipt).map(([key, value]) => html`<div><dt>${t(key)}</dt><dd>${value}</dd></div>`)}</dl>
        <h4>${t('erase.notCovered')}</h4>
        <ul class="plain" translate=${false}>${receipt.notCovered.map((one) => html`<li>${one}</li>`)}</ul>
        <p>${t('erase.asJson')} <${Copy} text=${JSON.stringify(receipt, null, 2)} name=${t('erase.theJson')} /></p>
    </section>`;
}

function rowsOf({ requestedAt, sources, assets, tags, caches, completedAt }) {
    const time = (at) => html`<time datetime=${at} translate=${false}>${moment(at)}</time>`;
    const rows = [['erase.at', time(requestedAt)]];
    if (sources) {
        rows.push(['erase.source', t('erase.versions', { n: sources.versions, bytes: bytes(sources.bytes) })]);
        rows.push(['erase.variants', t('erase.objects', { n: assets.objects, bytes: bytes(assets.bytes) })]);
        rows.push(['erase.tags', t('erase.entries', { n: tags.entries })]);
    }
    if (caches) {
        const { distribution } = caches;
        rows.push(['erase.caches', distribution ? t('erase.distribution', { distribution }) : t('erase.noCaches')]);
    }
    return completedAt ? [...rows, ['erase.completedAt', time(completedAt)]] : rows;
}
