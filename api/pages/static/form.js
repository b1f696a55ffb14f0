// The form of options. It is made from the words and bounds that the server lists (`GET /v1/presets`),
// so that a word which is new there has a field here.

import { CheckField, ChoiceField, NumberField, RangeField, TextField } from './fields.js';
import { Operations } from './operations.js';
import { parse, write } from './options.js';
import { lazy } from './lazy.js';
import { change, tried } from './tried.js';
import { html } from './vendor/preact.js';
import './words-parts.js';
import { t } from './words.js';

const HOUR = '3600';
const GROUPS = {
    'play.size': ['box', 'dpr', 'fit', 'enlarge', 'density', 'swap'],
    'play.place': ['gravity', 'focal'],
    'play.region': ['crop', 'trim', 'turn', 'flip'],
    'play.output': ['format', 'quality', 'max-bytes', 'background', 'keep'],
};
const LABELS = {
    fit: 'play.fitting', enlarge: 'play.enlarge', density: 'play.density', swap: 'play.swapSides', gravity: 'play.gravity',
    turn: 'play.turn', flip: 'play.flip', format: 'play.format', quality: 'play.quality', 'max-bytes': 'play.maxBytes',
    background: 'play.background', keep: 'play.keep',
};
const FOLDED = ['width', 'height'];
const USUAL_QUALITY = 80;
const RATIOS = ['1', '1.5', '2', '3'];
const CORNERS = ['top-left', 'bottom-right'];
const CropPlace = lazy(() => import('./places.js'), 'CropPlace');
const FocalPlace = lazy(() => import('./places.js'), 'FocalPlace');
const SHAPES = { box: Box, dpr: Ratio, focal: FocalPlace, crop: CropPlace, trim: Trim };

/** A field's text: ours, or the word itself. */
export const labelOf = (name) => (LABELS[name] ? t(LABELS[name]) : t('play.word', { name }));

/** The choice of a preset, or of options. `fault` is an error of the server, which names its `option`. */
export function Form({ image, text, preset, vocabulary, fault }) {
    const options = html`<${OptionsForm} image=${image} text=${text} vocabulary=${vocabulary} fault=${fault} />`;
    return html`<${Start} vocabulary=${vocabulary} preset=${preset} />${!tried.value.preset && options}`;
}

function Start({ vocabulary: { presets }, preset }) {
    const { preset: name, format } = tried.value;
    const edit = (event) => {
        event.target.closest('.group').querySelector('select').focus();
        change({ preset: '', format: '', o: preset.options });
    };
    const take = (chosen) => {
        const access = presets.find((one) => one.name === chosen)?.access;
        change({ preset: chosen, format: '', ...(access === 'private' && !tried.value.expires ? { expires: HOUR } : {}) });
    };
    return html`<div class="group">
        <${ChoiceField} label=${t('play.preset')} value=${name} choices=${presets.map((one) => one.name)} none=${t('play.noPreset')} put=${take} />
        ${preset && html`<${ChoiceField} label=${t('play.format')} value=${format} choices=${preset.formats} none=${t('play.auto')} put=${(value) => change({ format: value })} />`}
        ${
            preset?.options &&
            html`<div class="whole"><button type="button" onClick=${edit}>${t('play.edit')}</button>
                <p class="quiet">${t('play.editHint')}</p></div>`
        }
    </div>`;
}

function OptionsForm({ image, text, vocabulary, fault }) {
    const options = parse(text, vocabulary.operations.map(({ name }) => name));
    const put = (words, held) => change({ o: write({ ...options, words: { ...options.words, ...words } }) }, held);
    const placed = Object.values(GROUPS).flat();
    const others = vocabulary.words.map(({ name }) => name).filter((name) => ![...placed, ...FOLDED].includes(name));
    const field = (name) => {
        const Shape = SHAPES[name] ?? Word;
        const word = vocabulary.words.find((one) => one.name === name) ?? { name };
        const wrong = [name, ...(name === 'box' ? FOLDED : [])].includes(fault?.option) ? fault.detail : '';
        return html`<${Shape} key=${name} word=${word} options=${options} image=${image} vocabulary=${vocabulary} fault=${wrong} put=${put} />`;
    };
    return html`<form class="options" aria-label=${t('play.form')} onSubmit=${(event) => event.preventDefault()}>
        ${Object.entries(GROUPS).map(
            ([legend, names]) => html`<fieldset>
                <legend>${t(legend)}</legend>
                ${[...names, ...(legend === 'play.output' ? others : [])].map(field)}
            </fieldset>`,
        )}
        <${Operations} options=${options} vocabulary=${vocabulary} fault=${fault} />
    </form>`;
}

/** A word without a field of its own kind. */
function Word({ word: { name, form, choices, least, most }, options, fault, put }) {
    const label = labelOf(name);
    const shared = { label, value: options.words[name] ?? '', fault, put: (value) => put({ [name]: value }) };
    const only = form === 'yes or no' ? 'yes' : choices?.length === 1 ? choices[0] : '';
    if (only) {
        return html`<${CheckField} ...${shared} on=${shared.value === only} put=${(on) => put({ [name]: on ? only : '' })} />`;
    }
    if (choices) {
        return html`<${ChoiceField} ...${shared} choices=${choices} none=${t('play.usual')} />`;
    }
    if (name === 'quality') {
        return html`<${RangeField} ...${shared} least=${least} most=${most} start=${USUAL_QUALITY} />`;
    }
    if (name === 'background') {
        return html`<${Background} ...${shared} />`;
    }
    const isNumber = least !== undefined || name === 'max-bytes';
    return isNumber
        ? html`<${NumberField} ...${shared} least=${least ?? 1} most=${most} step=${name === 'density' ? 'any' : '1'} />`
        : html`<${TextField} ...${shared} form=${form} />`;
}

function Background({ label, value, fault, put }) {
    return html`<div class="option">
        <label class="colour">${label}<input type="color" value=${`#${value || 'ffffff'}`} onChange=${({ target }) => put(target.value.slice(1))} /></label>
        ${fault && html`<p class="bad">${t('play.fault', { fault })}</p>`}
    </div>`;
}

function Box({ options, vocabulary, fault, put }) {
    const [width = '', height = ''] = (options.words.box ?? '').split('x');
    const most = vocabulary.words.find(({ name }) => name === 'width')?.most;
    const box = (across, down) => put({ box: across || down ? `${across}x${down}` : '' });
    return html`<${NumberField} label=${t('play.width')} value=${width} least="1" most=${most} fault=${fault} put=${(value) => box(value, height)} />
        <${NumberField} label=${t('play.height')} value=${height} least="1" most=${most} put=${(value) => box(width, value)} />`;
}

function Ratio({ options, fault, put }) {
    const value = options.words.dpr ?? '1';
    return html`<${ChoiceField} label=${t('play.dpr')} value=${value} choices=${RATIOS} fault=${fault}
        put=${(ratio) => put({ dpr: ratio === '1' ? '' : ratio })} />`;
}

function Trim({ options, fault, put }) {
    const { trim = '' } = options.words;
    const [tolerance, like = CORNERS[0]] = trim.split(':');
    const isColour = !CORNERS.includes(like);
    const trimmed = (how) => put({ trim: `${tolerance || 0}:${how}` });
    return html`<${CheckField} label=${t('play.trim')} on=${trim !== ''} fault=${fault} put=${(on) => put({ trim: on ? '10' : '' })} />
        ${
            trim &&
            html`<${NumberField} label=${t('play.tolerance')} value=${tolerance} least="0" most="255" put=${(value) => put({ trim: `${value || 0}:${like}` })} />
                <${ChoiceField} label=${t('play.trimLike')} value=${isColour ? '' : like} choices=${CORNERS} none=${t('play.colour')}
                    put=${(corner) => trimmed(corner || 'ffffff')} />
                ${isColour && html`<${Background} label=${t('play.colour')} value=${like} put=${trimmed} />`}`
        }`;
}
