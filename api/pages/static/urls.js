// Shows the URLs of what is tried in every dialect, or why a dialect has none.

import { Copy } from './copy.js';
import { change } from './tried.js';
import { html } from './vendor/preact.js';
import './words-parts.js';
import { t } from './words.js';

const NAMES = { aws: 'AWS', own: 'Safelight' };
const HOUR = 3600;
const ENDS = [
    ['', 'play.never'],
    [`${HOUR}`, 'play.hour'],
    [`${24 * HOUR}`, 'play.day'],
    [`${30 * 24 * HOUR}`, 'play.month'],
];

/** The URLs, each with a button that copies it, and the choice when they end. */
export function Urls({ urls, options, expires, isPrivate }) {
    return html`<section aria-labelledby="urls-title" class="panel">
        <div class="bar">
            <h2 id="urls-title">${t('play.urls')}</h2>
            <label class="field">
                ${t('play.expires')}
                <select value=${expires} onChange=${(event) => change({ expires: event.target.value })}>
                    ${ENDS.filter(([seconds]) => seconds || !isPrivate).map(
                        ([seconds, word]) => html`<option value=${seconds} selected=${seconds === expires}>${t(word)}</option>`,
                    )}
                </select>
            </label>
        </div>
        <dl class="urls">
            ${options && html`<${Line} name=${t('play.options')} url=${options} />`}
            ${Object.entries(urls).map(([name, one]) => html`<${Line} key=${name} name=${nameOf(name)} ...${absolute(one)} />`)}
        </dl>
    </section>`;
}

function nameOf(name) {
    return name === 'preset' ? t('play.preset') : NAMES[name] ?? name;
}

/** Delivery in this process has URLs that begin with their path. */
function absolute({ url, ...others }) {
    return url ? { url: new URL(url, location.href).href } : others;
}

function Line({ name, url, refused, off }) {
    return html`<div>
        <dt translate=${false}>${name}</dt>
        <dd>
            ${url && html`<code translate=${false} tabindex="0">${url}</code><${Copy} text=${url} name=${name} />`}
            ${refused && html`<p class="quiet">${t('play.refused', { reason: refused })}</p>`}
            ${off && html`<p class="quiet">${t('play.off', { reason: off })}</p>`}
        </dd>
    </div>`;
}
