// The grid of pictures by months, with what is shown when there are none, or when there may be more.

import { Cell } from './cell.js';
import { focusSearch } from './filter-form.js';
import { isSet } from './filters.js';
import { day, month } from './format.js';
import { bind } from './keys.js';
import { search } from './route.js';
import { createRef, html, useEffect, useRef } from './vendor/preact.js';
import { t } from './words.js';

const LABELS = { more: 'grid.more', paused: 'grid.continue', failed: 'site.again' };
const AHEAD = { rootMargin: '100% 0px' };
const MANY = 5000;
const heading = createRef();
const grid = createRef();
const cells = new WeakMap();

/** The vnode of an image stays the same, so that only changed cells are compared. */
function cellOf(image, place) {
    const found = cells.get(image);
    if (found?.place === place) {
        return found.cell;
    }
    const cell = html`<${Cell} key=${image.imageId} image=${image} />`;
    cells.set(image, { place, cell });
    return cell;
}

/** Where the heading of the grid is, in pixels below the top of the window. */
const topOf = () => heading.current?.getBoundingClientRect().top ?? 0;

/** Whether the reader sees the heading of the grid, or what is above it. */
export const isAtTop = () => topOf() >= 0;

const itemOf = (imageId) => grid.current?.querySelector(`[data-image="${CSS.escape(imageId)}"]`)?.closest('li');

/** Where the reader is: which image is the first in view, and where it is, or else the heading. */
export function placeInGrid() {
    const items = isAtTop() ? [] : (grid.current?.querySelectorAll('.cells > li') ?? []);
    const first = [...items].find((item) => item.getBoundingClientRect().bottom > 0);
    return { imageId: first?.querySelector('.cell').dataset.image ?? '', top: first?.getBoundingClientRect().top ?? topOf() };
}

/** Scroll to a place. Cells that come into view get their heights only when they are drawn. */
export function scrollToPlace({ imageId, top }, frames = 3) {
    requestAnimationFrame(() => {
        const now = itemOf(imageId)?.getBoundingClientRect().top ?? topOf();
        scrollBy({ top: now - top, behavior: 'instant' });
        frames > 1 && scrollToPlace({ imageId, top }, frames - 1);
    });
}

/** Move the focus to the cell of an image, or to the heading if it is gone. */
export function focusCell(imageId) {
    (itemOf(imageId)?.querySelector('.cell') ?? heading.current)?.focus();
}

function monthsOf(images) {
    const months = [];
    for (const image of images) {
        const title = month(image.uploadedAt);
        if (months.at(-1)?.title !== title) {
            months.push({ title, images: [] });
        }
        months.at(-1).images.push(image);
    }
    return months;
}

/** `children` are shown below the heading. */
export function Grid({ listing, place, children }) {
    useEffect(() => bind(['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'], 'keys.move', move), []);
    const images = listing.images.value;
    return html`<section aria-labelledby="grid-title" class="gallery">
        <h2 id="grid-title" tabindex="-1" ref=${heading}>${t('grid.title')}</h2>
        ${children}
        <${Fresh} listing=${listing} />
        <div ref=${grid} aria-busy=${listing.phase.value === 'loading'}>
            ${monthsOf(images).map(({ title, images: shown }, number) => html`<section key=${`${title} ${number}`} aria-label=${t('grid.month', { month: title })}>
                <h3><span translate=${false}>${title}</span></h3>
                <ul class="cells">${shown.map((image) => cellOf(image, place))}</ul>
            </section>`)}
        </div>
        <${Foot} listing=${listing} />
    </section>`;
}

function Fresh({ listing }) {
    const n = listing.fresh.value.length;
    const show = () => {
        const [first] = listing.fresh.value;
        listing.showFresh();
        heading.current.scrollIntoView();
        setTimeout(() => focusCell(first.imageId));
    };
    return n > 0 && html`<button class="fresh" onClick=${show}>${t('grid.fresh', { n })}</button>`;
}

function Foot({ listing }) {
    const shown = listing.images.value.length;
    switch (listing.phase.value) {
        case 'end':
            return shown ? null : html`<${Nothing} filtered=${isSet(listing.values)} />`;
        case 'none':
            return null;
        default:
            return html`<${More} listing=${listing} shown=${shown} />`;
    }
}

function Nothing({ filtered }) {
    const clear = () => {
        search('');
        focusSearch();
    };
    return html`<div class="nothing">
        <p class="quiet">${t(filtered ? 'grid.noMatch' : 'grid.empty')}</p>
        ${filtered && html`<button onClick=${clear}>${t('filter.clear')}</button>`}
    </div>`;
}

/**
 * The next page is loaded one screen before it is reached, unless so many pictures are shown that the
 * page is slow. The button does the same for keyboards, and keeps the focus while it loads; at the end
 * of the list, the first new picture gets it.
 */
function More({ listing, shown }) {
    const button = useRef(null);
    const kept = useRef({ label: '', shown: 0 });
    const phase = listing.phase.value;
    const loads = phase === 'loading';
    const waits = phase === 'more' && shown >= MANY;
    kept.current.label = LABELS[phase] ?? kept.current.label;
    useEffect(() => {
        if (phase !== 'more' || waits) {
            return undefined;
        }
        const observer = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && listing.load(), AHEAD);
        observer.observe(button.current);
        return () => observer.disconnect();
    }, [shown, phase]);
    useEffect(() => () => {
        if (button.current && button.current === document.activeElement) {
            const images = listing.images.value;
            const next = images[kept.current.shown] ?? images.at(-1);
            setTimeout(() => focusCell(next?.imageId ?? ''));
        }
    }, []);
    const load = () => {
        kept.current.shown = shown;
        listing.load();
    };
    const stop = () => {
        listing.stop();
        setTimeout(() => button.current?.focus());
    };
    const { label } = kept.current;
    return html`${phase === 'failed' && html`<p role="alert" class="bad">${t('grid.failed', { reason: listing.problem.value.message })}</p>`}
        <div class="bar">
            ${(loads || waits || phase === 'paused') && html`<p class="quiet">${progressOf(listing)}</p>`}
            ${label && html`<button ref=${button} aria-disabled=${loads} onClick=${() => loads || load()}>${t(label)}</button>`}
            ${loads && listing.searchedTo.value && html`<button onClick=${stop}>${t('grid.stop')}</button>`}
        </div>`;
}

function progressOf({ phase, searchedTo, images }) {
    if (searchedTo.value && phase.value !== 'more') {
        return t('grid.searchedTo', { day: day(searchedTo.value) });
    }
    return t({ paused: 'grid.stopped', more: 'grid.many' }[phase.value] ?? 'grid.loading', { n: images.value.length });
}

/** Move the focus among the cells. Returns whether it did. */
function move({ key }) {
    const all = [...(grid.current?.querySelectorAll('.cell') ?? [])];
    const at = all.indexOf(document.activeElement);
    if (at < 0) {
        return false;
    }
    const next = { ArrowLeft: () => all[at - 1], ArrowRight: () => all[at + 1] }[key] ?? (() => across(all, at, key === 'ArrowUp' ? -1 : 1));
    next()?.focus();
    return true;
}

/** Return the cell above (-1) or below (1) another one, also in the next month. */
function across(all, at, direction) {
    const { left, top } = all[at].getBoundingClientRect();
    let best;
    for (let place = at + direction; all[place]; place += direction) {
        const box = all[place].getBoundingClientRect();
        if (best && box.top !== best.top) {
            break;
        }
        if (box.top !== top && (!best || Math.abs(box.left - left) < Math.abs(best.left - left))) {
            best = { cell: all[place], left: box.left, top: box.top };
        }
    }
    return best?.cell;
}
