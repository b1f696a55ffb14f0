// The texts of the sign-in.

import { define } from './words.js';

define({
    'signin.title': 'Sign in',
    'signin.oidc': 'Sign in with your account',
    'signin.or': 'or',
    'signin.key': 'API key',
    'signin.keyHint': 'It begins with sl_. The operator of this server gives out keys.',
    'signin.submit': 'Sign in',

    'denied.key': 'This server does not know this key.',
    'denied.users': 'This key is for a server that acts for many users. Sign in with a key of your own.',
    'denied.denied': 'You or the account service refused the sign-in.',
    'denied.unavailable': 'The account service does not answer. Try again in a minute.',
    'denied.expired': 'The sign-in took too long, or was begun in another browser. Try again.',
    'denied.refused': 'The account service sent something that this server does not accept. Ask the operator of this server.',
});
