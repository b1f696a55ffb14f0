// Shows a result beside its reference: with a slider over both, side by side, or alone.

import { bytes, percent } from './format.js';
import { html, signal, useLayoutEffect, useRef } from './vendor/preact.js';
import './words-parts.js';
import { t } from './words.js';

const VIEWS = [['slider', 'play.slider'], ['beside', 'play.beside'], ['result', 'play.result']];
const ZOOMS = [['fit', 'play.fit'], ['1', 'play.zoom'], ['2', 'play.zoom']];
const chosen = signal('slider');
const zoom = signal('fit');
const cut = signal(50);

/** The choice of view and zoom. */
export function Views() {
    return html`<div class="bar">
        <${Choice} legend=${t('play.views')} name="view" choices=${VIEWS} value=${chosen} />
        <${Choice} legend=${t('play.zooms')} name="zoom" choices=${ZOOMS} value=${zoom} />
    </div>`;
}

function Choice({ legend, name, choices, value }) {
    return html`<fieldset class="choice">
        <legend class="unseen">${legend}</legend>
        ${choices.map(
            ([one, word]) => html`<label class="button">
                <input type="radio" class="unseen" name=${name} checked=${value.value === one} onChange=${() => (value.value = one)} />
                ${t(word, { percent: percent(100 * Number(one)) })}
            </label>`,
        )}
    </fieldset>`;
}

/** Set custom properties of an element, which the style sheet reads: inline styles are forbidden. */
export function useStyle(values) {
    const element = useRef(null);
    useLayoutEffect(() => {
        Object.entries(values).forEach(([name, value]) => element.current?.style.setProperty(`--${name}`, `${value}`));
    });
    return element;
}

/** The result of the preview, and its reference, where there is one. */
export function Compare({ result, reference, name }) {
    const shown = reference?.url ? chosen.value : 'result';
    const frames = useRef(null);
    const follow = ({ target }) => {
        for (const frame of shown === 'beside' ? frames.current.children : []) {
            frame.scrollTo(target.scrollLeft, target.scrollTop);
        }
    };
    const alone = shown === 'result' ? null : reference;
    return html`<div class=${`frames ${shown}`} ref=${frames} onScrollCapture=${follow}>
        <${Frame} result=${result} below=${shown === 'slider' ? reference : null} alt=${t('play.resultOf', { name })} title="play.result" />
        ${shown === 'beside' && html`<${Frame} result=${reference} alt=${t('play.referenceOf', { name })} title="play.reference" />`}
    </div>
    ${alone && html`<${Caption} reference=${alone} />`}`;
}

function Frame({ result, below, alt, title }) {
    const { width, height } = result;
    const scale = zoom.value === 'fit' ? 1 : Number(zoom.value) / devicePixelRatio;
    const stage = useStyle({ width, height, scale, cut: `${below ? cut.value : 100}%` });
    const label = t(below ? 'play.compared' : 'play.picture', { alt });
    return html`<div class=${`frame ${zoom.value === 'fit' ? 'fit' : 'zoomed'}`} role="region" aria-label=${label} tabindex="0">
        <div class="stage" ref=${stage}>
            ${below && html`<img src=${below.url} alt="" />`}
            <img class="top" src=${result.url} alt=${alt} />
            ${below && html`<${Slider} />`}
        </div>
        <p class="badges"><span>${t(title)}</span>${below && html`<span>${t('play.reference')}</span>`}</p>
    </div>`;
}

function Slider() {
    const text = t('play.cut', { percent: percent(cut.value) });
    return html`<input
            type="range"
            min="0"
            max="100"
            value=${cut.value}
            aria-label=${t('play.comparison')}
            aria-valuetext=${text}
            onInput=${(event) => (cut.value = Number(event.target.value))}
        /><span class="divider" aria-hidden="true"></span>`;
}

function Caption({ reference: { type, size } }) {
    const word = type === 'image/png' ? 'play.referencePng' : 'play.referenceJpeg';
    return html`<p class="quiet">${t(word, { size: bytes(size) })}</p>`;
}
