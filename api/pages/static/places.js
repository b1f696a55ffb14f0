// Fields for places in the picture: a focal point, and the part that a crop keeps. Both are set by
// mouse or finger on a small copy of the picture, by the arrow keys, or as numbers.

import { useStyle } from './compare.js';
import { CheckField, ChoiceField, NumberField } from './fields.js';
import { percent } from './format.js';
import { write } from './options.js';
import { small } from './preview.js';
import { html, useEffect, useState } from './vendor/preact.js';
import { t } from './words.js';

const COPY = { box: '320x320', format: 'webp', quality: '70' };
const STEP = 0.01;
const FAR = 0.1;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LOOKED_FOR = ['attention', 'faces'];
const FIT_CROPS = ['cover', 'crop', 'auto'];

const clamp = (value, least = 0, most = 1) => Math.min(most, Math.max(least, value));
const share = (value) => `${Math.round(10_000 * value) / 10_000}`;
/** A part of 1 would be one pixel; 0 keeps the whole side. */
const side = (value) => (value > 0.9999 ? '0' : share(value));

/** Return what an arrow key asks for, as steps to the right and down. */
function stepsOf(event) {
    const steps = KEYS[event.key];
    if (steps) {
        event.preventDefault();
    }
    return steps;
}

/**
 * A small copy of the picture, before what is placed in it. `drag` gets two points in shares, and
 * whether the second may still move.
 */
function Plan({ image, words, drag, children }) {
    const text = write({ words: { ...words, ...COPY }, operations: [] });
    const [copy, setCopy] = useState(null);
    const [from, setFrom] = useState(null);
    useEffect(() => {
        const ended = new AbortController();
        small(image, text, ended.signal).then(setCopy, (problem) => ended.signal.aborted || setCopy({ problem }));
        return () => ended.abort();
    }, [image, text]);
    if (!copy || copy.problem) {
        return html`<p class="quiet">${copy ? t('play.failed', { reason: copy.problem.message }) : t('play.rendering')}</p>`;
    }
    const point = ({ currentTarget, clientX, clientY }) => {
        const { left, top, width, height } = currentTarget.getBoundingClientRect();
        return [clamp((clientX - left) / width), clamp((clientY - top) / height)];
    };
    const down = (event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setFrom(point(event));
        drag(point(event), point(event), true);
    };
    const move = (event) => from && drag(from, point(event), true);
    const up = (event) => {
        setFrom(null);
        return from && drag(from, point(event), false);
    };
    return html`<div class="plan" onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up}>
        <img src=${copy.url} alt="" draggable=${false} />
        ${children}
    </div>`;
}

/** A point or a part of the picture, at a place in shares. Keys move it. */
function Mark({ kind, at, label, keys }) {
    return html`<button ref=${useStyle(at)} type="button" class=${kind} aria-label=${label} onKeyDown=${keys} />`;
}

/** The point that fitting keeps nearest to the middle. */
export function FocalPlace({ image, options: { words }, fault, put }) {
    const { focal = '', fit = '' } = words;
    const [across, down] = focal.split(':').map(Number);
    const set = (x, y, held) => put({ focal: `${share(clamp(x))}:${share(clamp(y))}` }, held);
    const keys = (event) => {
        const steps = stepsOf(event);
        const far = event.shiftKey ? FAR : STEP;
        return steps && set(across + far * steps[0], down + far * steps[1]);
    };
    const { trim = '', turn = '', crop = '' } = words;
    return html`<div class="whole">
        <${CheckField} label=${t('play.focal')} on=${focal !== ''} fault=${fault} put=${(on) => put({ focal: on ? '0.5:0.5' : '' })} />
        ${
            focal &&
            html`${!FIT_CROPS.includes(fit) && html`<p class="quiet">${t('play.focalHint')}</p>`}
                <${Plan} image=${image} words=${{ trim, turn, crop }} drag=${(_, to, held) => set(...to, held)}>
                    <${Mark} kind="point" at=${{ x: across, y: down }} label=${t('play.focalMark', { across: percent(100 * across), down: percent(100 * down) })} keys=${keys} />
                </${Plan}>
                <div class="pair">
                    <${NumberField} label=${t('play.across')} value=${across} least="0" step="any" put=${(value) => put({ focal: `${value || 0}:${down}` })} />
                    <${NumberField} label=${t('play.down')} value=${down} least="0" step="any" put=${(value) => put({ focal: `${across}:${value || 0}` })} />
                </div>`
        }
    </div>`;
}

function readCrop(text) {
    const [size, at = 'centre', x = '', y = ''] = text.split(':');
    const [width = '0', height = '0'] = size.split('x');
    return { width, height, at, x, y };
}

function writeCrop({ width, height, at, x, y }) {
    const size = `${width || 0}x${height || 0}`;
    if (LOOKED_FOR.includes(at)) {
        return `${size}:${at}`;
    }
    const start = at === 'focal' ? 0.5 : 0;
    return at === 'centre' && !Number(x) && !Number(y) ? size : `${size}:${at}:${x || start}:${y || start}`;
}

/** Return left, top, width and height in shares; null if a drawing cannot show them. */
function rectangle({ width, height, at, x, y }) {
    const sides = [Number(width) || 1, Number(height) || 1];
    const isCentred = at === 'centre' && !Number(x) && !Number(y);
    const start = isCentred ? [(1 - sides[0]) / 2, (1 - sides[1]) / 2] : [Number(x), Number(y)];
    const isInShares = [width, height, x, y].every((value) => Number(value) < 1);
    return isInShares && (isCentred || at === 'north-west') ? [...start, ...sides] : null;
}

/** The part of the picture that is kept, before it is resized. */
export function CropPlace({ image, options: { words }, vocabulary, fault, put }) {
    const { crop: text = '', trim = '', turn = '' } = words;
    const crop = readCrop(text);
    const drawn = rectangle(crop);
    const set = (parts, held) => put({ crop: writeCrop({ ...crop, ...parts }) }, held);
    const draw = (left, top, width, height, held) =>
        set({ width: side(width), height: side(height), at: 'north-west', x: share(left), y: share(top) }, held);
    const drag = ([x, y], [toX, toY], held) => {
        const sides = [Math.abs(toX - x), Math.abs(toY - y)];
        return Math.min(...sides) >= STEP && draw(Math.min(x, toX), Math.min(y, toY), ...sides, held);
    };
    const keys = (event) => {
        const steps = stepsOf(event);
        if (!steps) {
            return;
        }
        const [left, top, width, height] = drawn;
        const [across, down] = [STEP * steps[0], STEP * steps[1]];
        if (event.shiftKey) {
            draw(left, top, clamp(width + across, STEP, 1 - left), clamp(height + down, STEP, 1 - top));
        } else {
            draw(clamp(left + across, 0, 1 - width), clamp(top + down, 0, 1 - height), width, height);
        }
    };
    const [x, y, width, height] = drawn ?? [0, 0, 1, 1];
    const places = [...(vocabulary.words.find(({ name }) => name === 'gravity')?.choices ?? []), 'focal'];
    const number = (name, label) =>
        html`<${NumberField} label=${label} value=${crop[name]} least="0" step="any" put=${(value) => set({ [name]: value })} />`;
    return html`<div class="whole">
        <${CheckField} label=${t('play.crop')} on=${text !== ''} fault=${fault} put=${(on) => put({ crop: on ? '0.8x0.8' : '' })} />
        ${
            text &&
            html`<p class="quiet">${t('play.cropHint')}</p>
                <${Plan} image=${image} words=${{ trim, turn }} drag=${drag}>
                    ${drawn && html`<${Mark} kind="part" at=${{ x, y, width, height }} label=${t('play.cropMark')} keys=${keys} />`}
                </${Plan}>
                <div class="pair">
                    ${number('width', t('play.cropWidth'))} ${number('height', t('play.cropHeight'))}
                    <${ChoiceField} label=${t('play.cropAt')} value=${crop.at} choices=${places} put=${(at) => set({ at, x: '', y: '' })} />
                    ${!LOOKED_FOR.includes(crop.at) && html`${number('x', t('play.across'))} ${number('y', t('play.down'))}`}
                </div>`
        }
    </div>`;
}
