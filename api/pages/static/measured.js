// Says what a result measures, and how long its parts took.

import { bytes, formatName, percent } from './format.js';
import { say } from './shell.js';
import { html, useEffect } from './vendor/preact.js';
import './words-parts.js';
import { t } from './words.js';

export function Measured({ result: { size, type, width, height, seconds, timing }, picture }) {
    const format = formatName(type.replace('image/', ''));
    const facts = t('play.facts', { size: bytes(size), format, width, height, seconds: Math.round(100 * seconds) / 100 });
    useEffect(() => say(facts), [facts]);
    const smaller = picture ? 100 * (1 - size / picture.originalSize) : 0;
    return html`<p class="facts">
            ${facts}
            ${picture?.originalSize && html` · ${t(smaller > 0 ? 'play.smaller' : 'play.source', { size: bytes(picture.originalSize), percent: percent(smaller, 1) })}`}
        </p>
        ${timing && html`<p class="quiet">${stages(timing)}</p>`}`;
}

/** Write a Server-Timing header for people, such as `rendered: lookup 12 ms, render 294 ms`. */
function stages(timing) {
    const parts = timing.split(',').map((one) => one.trim().split(';'));
    const how = /desc="?([^"]*)/.exec(timing)?.[1] ?? '';
    const times = parts.flatMap(([name, said = '']) => (said.startsWith('dur=') ? [t('play.stage', { name, n: Math.round(Number(said.slice(4))) })] : []));
    return t('play.timing', { how, stages: times.join(', ') });
}
