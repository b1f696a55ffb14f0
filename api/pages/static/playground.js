// The playground: options or a preset for one of the user's pictures, with a preview and URLs.

import { call } from './api.js';
import { Compare, Views } from './compare.js';
import { bytes, percent } from './format.js';
import { bind } from './keys.js';
import { lazy } from './lazy.js';
import { show, view } from './preview.js';
import { say, start } from './shell.js';
import { before, begin, settled, swap, tried } from './tried.js';
import { html, useEffect, useState } from './vendor/preact.js';
import './words-playground.js';
import { t } from './words.js';

const FORMATS = { avif: 'AVIF', jpeg: 'JPEG', png: 'PNG', webp: 'WebP' };
const Form = lazy(() => import('./form.js'), 'Form');
const PicturePicker = lazy(() => import('./picture-picker.js'), 'PicturePicker');
const Urls = lazy(() => import('./urls.js'), 'Urls');

function Playground() {
    const [vocabulary, setVocabulary] = useState(null);
    const [picture, setPicture] = useState(null);
    const [choosing, setChoosing] = useState(false);
    const { image } = tried.value;
    useEffect(() => {
        bind('x', 'play.swapKey', swap);
        call('/v1/presets').then(({ json }) => setVocabulary(json), setVocabulary);
        if (!image) {
            call('/v1/images?status=completed&limit=1').then(
                ({ json: { images } }) => (images.length && !tried.value.image ? begin(images[0].imageId) : setChoosing(true)),
                () => setChoosing(true),
            );
        }
    }, []);
    useEffect(() => {
        const ended = new AbortController();
        setPicture(null);
        if (image) {
            call(`/v1/images/${image}`, { signal: ended.signal }).then(({ json }) => setPicture(json), () => {});
        }
        return () => ended.abort();
    }, [image]);
    useEffect(() => {
        if (vocabulary?.words && settled.value.image) {
            show(settled.value, vocabulary.presets);
        }
    }, [vocabulary, settled.value]);
    if (vocabulary instanceof Error) {
        return html`<p role="alert" class="bad">${t('play.failed', { reason: vocabulary.message })}</p>`;
    }
    return html`<details class="picker" open=${choosing} onToggle=${({ target }) => setChoosing(target.open)}>
            <summary class="button">${picture?.filename ? t('play.change', { name: picture.filename }) : t('play.choosePicture')}</summary>
            ${choosing && html`<${PicturePicker} />`}
        </details>
        ${vocabulary && image && html`<${Bench} vocabulary=${vocabulary} picture=${picture} image=${image} />`}`;
}

function Bench({ vocabulary, picture, image }) {
    const { o, preset: name, expires } = tried.value;
    const { urls, options, problem } = view.value;
    const preset = vocabulary.presets.find((one) => one.name === name);
    return html`<div class="bench">
            <section aria-labelledby="preview-title" class="panel">
                <h2 id="preview-title" class="unseen">${t('play.preview')}</h2>
                <${Preview} picture=${picture} image=${image} />
            </section>
            <section aria-labelledby="options-title" class="panel asked">
                <h2 id="options-title">${t('play.what')}</h2>
                <${Form} image=${image} text=${o} preset=${preset} vocabulary=${vocabulary} fault=${problem?.document?.errors?.[0]} />
            </section>
            ${urls && html`<${Urls} urls=${urls} options=${name ? '' : options} expires=${expires} isPrivate=${preset?.access === 'private'} />`}
        </div>`;
}

function Preview({ picture, image }) {
    const { result, reference, busy, seconds, problem } = view.value;
    const name = picture?.filename ?? image;
    return html`<div class="bar">
            <${Views} />
            <button type="button" disabled=${!before.value} onClick=${swap}>${t('play.swap')}</button>
        </div>
        <div aria-busy=${busy} class=${problem ? 'stale' : ''}>
            ${result ? html`<${Compare} result=${result} reference=${reference} name=${name} />` : html`<div class="frame empty" />`}
        </div>
        ${busy && html`<p class="quiet">${seconds ? t('play.waiting', { n: seconds }) : t('play.rendering')}</p>`}
        ${problem && html`<p role="alert" class="bad">${reasonOf(problem)}</p>`}
        ${reference?.problem && html`<p class="quiet">${t('play.noReference', { reason: reference.problem.message })}</p>`}
        ${result && html`<${Facts} result=${result} picture=${picture} />`}`;
}

function reasonOf(problem) {
    if (problem.status === 0) {
        const origin = problem.document.title;
        return origin ? t('play.unreachable', { origin }) : t('play.failed', { reason: t('site.unreachable') });
    }
    const word = problem.status === 501 ? 'play.off' : 'play.failed';
    const fault = problem.document?.errors?.[0];
    return t(word, { reason: fault?.option ? t('play.wrong', { option: fault.option, detail: fault.detail }) : problem.message });
}

function Facts({ result: { size, type, width, height, seconds, timing }, picture }) {
    const format = FORMATS[type.replace('image/', '')] ?? type;
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

start({ path: '/ui/playground', title: 'play.title', Content: Playground });
