// The page of sign-in: with an API key, or at the OpenID Connect issuer. Its forms work by themselves.

import { call, Problem } from './api.js';
import { html, render, useEffect, useRef } from './vendor/preact.js';
import './words-sign-in.js';
import { t } from './words.js';

const FAULTS = new Set(['key', 'users', 'denied', 'unavailable', 'expired', 'refused']);
const OF_THE_KEY = new Set(['key', 'users']);
/** Paths of pages. The server checks them too, in api/pages/sign_in.py. */
const TO = /^(?!.*\/\/)\/ui\/[!#-[\]-~]{0,2000}$/;

const query = new URLSearchParams(location.search);
const to = TO.test(query.get('to') ?? '') ? query.get('to') : '/ui/';
const fault = query.get('error');

function SignIn({ methods }) {
    const byIssuer = methods.includes('oidc');
    const byKey = methods.includes('key');
    return html`<header><a class="brand" href="/ui/">${t('site.name')}</a></header>
        <main class="sign-in">
            <h1>${t('signin.title')}</h1>
            ${FAULTS.has(fault) && html`<p id="fault" role="alert" class="bad">${t(`denied.${fault}`)}</p>`}
            ${byIssuer && html`<a class="button" href=${`/ui/login?to=${encodeURIComponent(to)}`}>${t('signin.oidc')}</a>`}
            ${byIssuer && byKey && html`<p class="quiet or">${t('signin.or')}</p>`}
            ${byKey && html`<${KeyForm} first=${!byIssuer} />`}
        </main>`;
}

function KeyForm({ first }) {
    const wrong = OF_THE_KEY.has(fault);
    const input = useRef(null);
    useEffect(() => {
        if (first || wrong) {
            input.current.focus();
        }
    }, []);
    return html`<form method="post" action="/ui/key">
        <label for="key">${t('signin.key')}</label>
        <input
            id="key"
            ref=${input}
            name="key"
            type="password"
            autocomplete="current-password"
            required
            aria-invalid=${wrong}
            aria-describedby=${wrong ? 'fault key-hint' : 'key-hint'}
        />
        <p id="key-hint" class="quiet">${t('signin.keyHint')}</p>
        <input type="hidden" name="to" value=${to} />
        <button>${t('signin.submit')}</button>
    </form>`;
}

function Failed({ reason }) {
    return html`<main class="sign-in">
        <h1>${t('signin.title')}</h1>
        <p role="alert">${t('site.failed', { reason })}</p>
        <p><button onClick=${() => location.reload()}>${t('site.again')}</button></p>
    </main>`;
}

async function start() {
    document.title = `${t('signin.title')} · ${t('site.name')}`;
    try {
        await call('/v1/session');
    } catch (error) {
        if (error instanceof Problem && error.status === 401) {
            render(html`<${SignIn} methods=${error.document.signIn ?? []} />`, document.body);
            return;
        }
        render(html`<${Failed} reason=${error.message} />`, document.body);
        return;
    }
    location.replace(to); // signed in already
}

start();
