// The playground: options or a preset for one of the user's pictures, with a preview and URLs.

import { call } from './api.js';
import { bind } from './keys.js';
import { lazy } from './lazy.js';
import { newest } from './newest.js';
import { show, view } from './preview.js';
import { start } from './shell.js';
import { before, begin, settled, swap, tried } from './tried.js';
import { html, useEffect, useState } from './vendor/preact.js';
import './words-playground.js';
import { t } from './words.js';

const Compare = lazy(() => import('./compare.js'), 'Compare');
const Form = lazy(() => import('./form.js'), 'Form');
const Measured = lazy(() => import('./measured.js'), 'Measured');
const PicturePicker = lazy(() => import('./picture-picker.js'), 'PicturePicker');
const Urls = lazy(() => import('./urls.js'), 'Urls');
const Views = lazy(() => import('./compare.js'), 'Views');

function Playground() {
    const [vocabulary, setVocabulary] = useState(null);
    const [picture, setPicture] = useState(null);
    const [choosing, setChoosing] = useState(false);
    const { image } = tried.value;
    useEffect(() => {
        bind('x', 'play.swapKey', swap);
        call('/v1/presets').then(({ json }) => setVocabulary(json), setVocabulary);
        if (!image) {
            newest({ limit: 1 }).then(
                ({ images }) => (images.length && !tried.value.image ? begin(images[0].imageId) : setChoosing(true)),
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
            ${choosing && html`<${PicturePicker} presets=${vocabulary?.presets} />`}
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
        ${result && html`<${Measured} result=${result} picture=${picture} />`}`;
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

start({ path: '/ui/playground', title: 'play.title', Content: Playground });
