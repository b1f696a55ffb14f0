// The frame of every page: header, landmarks, the status line, and the session that all parts need.

import { call, Problem } from './api.js';
import { helpShown, KeyHelp, listenToKeys } from './keys.js';
import { begin, end, ended, signInUrl } from './session.js';
import { html, render, signal } from './vendor/preact.js';
import { t } from './words.js';

const PAGES = [
    ['/ui/', 'pictures.title'],
    ['/ui/playground', 'play.title'],
];
const SECONDS_BETWEEN_SENTENCES = 1;

const said = signal('');
let next = '';
let speaking = 0;

/** Let screen readers say a sentence: at most one a second, and of several the last. */
export function say(sentence) {
    next = sentence;
    if (speaking) {
        return;
    }
    said.value = next;
    next = '';
    speaking = setTimeout(() => {
        speaking = 0;
        if (next) {
            say(next);
        }
    }, 1000 * SECONDS_BETWEEN_SENTENCES);
}

/**
 * What was said last, for screen readers alone: it is soon out of date. A dialog has one of its own,
 * because the rest of the page is silent beside it.
 */
export function Said() {
    return html`<p role="status" class="unseen">${said}</p>`;
}

function Header({ session, path }) {
    return html`<header>
        <a class="skip" href="#content">${t('site.skip')}</a>
        <a class="brand" href="/ui/">${t('site.name')}</a>
        <nav aria-label=${t('site.pages')}>
            ${PAGES.map(
                ([to, title]) =>
                    html`<a href=${to} aria-current=${to === path ? 'page' : undefined}>${t(title)}</a>`,
            )}
        </nav>
        <button class="icon" aria-label=${t('keys.help')} title=${t('keys.help')} onClick=${() => (helpShown.value = true)}>
            <span aria-hidden="true" translate=${false}>?</span>
        </button>
        <${Who} session=${session} />
    </header>`;
}

/** Whose session it is, with a form to end it. */
function Who({ session }) {
    if (session.anonymous) {
        return html`<p class="who quiet">${t('site.anonymous')}</p>`;
    }
    const user = session.name ?? session.userId;
    return html`<form class="who" method="post" action="/ui/logout">
        <span class="unseen">${t('signin.as')}</span>
        <span class="quiet" translate=${false} title=${session.userId}>${user}</span>
        <button>${t('signin.out')}</button>
    </form>`;
}

/**
 * A line that stays until the user has signed in again. A new tab keeps the files of this page. A
 * dialog has one of its own: it covers the rest of the page.
 */
export function Ended() {
    return html`<div role="alert">
        ${ended.value &&
        html`<p class="notice">
            <span>${t('signin.ended')}</span>
            <a class="button" href=${signInUrl()} target="_blank" rel="noopener">${t('signin.again')}</a>
        </p>`}
    </div>`;
}

function Page({ session, path, title, children }) {
    return html`<${Header} session=${session} path=${path} />
        <${Ended} />
        <main id="content" tabindex="-1">
            <h1>${t(title)}</h1>
            ${children}
            <${Said} />
        </main>
        <${KeyHelp} />`;
}

function Failed({ reason }) {
    return html`<main>
        <h1>${t('site.name')}</h1>
        <p role="alert">${t('site.failed', { reason })}</p>
        <p><button onClick=${() => location.reload()}>${t('site.again')}</button></p>
    </main>`;
}

/**
 * Show a page, once the session is known. `Content` is a component that gets the session.
 * @param {{path: string, title: string, Content: Function}} page
 */
export async function start({ path, title, Content }) {
    document.title = `${t(title)} · ${t('site.name')}`;
    listenToKeys();
    let session;
    try {
        session = (await call('/v1/session')).json;
    } catch (error) {
        if (error instanceof Problem && error.status === 401) {
            end();
            location.replace(signInUrl());
            return;
        }
        render(html`<${Failed} reason=${error.message} />`, document.body);
        return;
    }
    begin(session.userId);
    render(
        html`<${Page} session=${session} path=${path} title=${title}><${Content} session=${session} /></${Page}>`,
        document.body,
    );
}
