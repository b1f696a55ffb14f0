// Uploads a file as a page of an application would, in each of the ways that pages have. Each way
// repeats an upload whose answer was lost, and resolves to the image's id and the last status.

const TRIES = 3;

async function hexOfSha256(file) {
    const digest = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

// `wish` has the API's address and key, the method, and whether to send a checksum. The idempotency
// key makes a repeated request mean the same image.
async function ticketFor(file, wish) {
    const request = { filename: file.name, contentType: file.type, size: file.size, method: wish.method };
    if (wish.checksum) {
        request.sha256 = await hexOfSha256(file);
    }
    const answer = await fetch(`${wish.api}/v1/uploads`, {
        method: 'POST',
        headers: {
            'Content-Type': 'application/json',
            'Idempotency-Key': wish.idempotencyKey,
            'X-Api-Key': wish.key,
        },
        body: JSON.stringify(request),
    });
    if (!answer.ok) {
        throw new Error(await answer.text());
    }
    return answer.json();
}

function bodyOf(ticket, file) {
    if (ticket.method === 'PUT') {
        return file;
    }
    const form = new FormData();
    for (const [name, value] of Object.entries(ticket.fields)) {
        form.append(name, value);
    }
    form.append('file', file);
    return form;
}

async function sendByFetch(ticket, file) {
    const { method, url, headers } = ticket;
    return (await fetch(url, { method, headers, body: bodyOf(ticket, file) })).status;
}

function sendByXhr(ticket, file) {
    return new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        request.open(ticket.method, ticket.url);
        for (const [name, value] of Object.entries(ticket.headers ?? {})) {
            request.setRequestHeader(name, value);
        }
        request.upload.onprogress = () => {}; // so that the browser sends a preflight for a form too
        request.onload = () => resolve(request.status);
        request.onerror = () => reject(new Error('the answer was lost'));
        request.send(bodyOf(ticket, file));
    });
}

async function repeated(send, file, wish) {
    const ticket = await ticketFor(file, wish);
    for (let left = TRIES; ; left -= 1) {
        try {
            return { imageId: ticket.imageId, status: await send(ticket, file) };
        } catch (error) {
            if (left === 1) {
                throw error;
            }
        }
    }
}

// `optionsOf` gets a function that asks for a ticket, and returns the options of Uppy's plugin.
async function byUppy(version, file, wish, optionsOf) {
    const { Uppy, AwsS3 } = await import(`/uppy-${version}.js`);
    let ticket;
    const uppy = new Uppy();
    uppy.use(AwsS3, {
        shouldUseMultipart: false,
        ...optionsOf(async () => {
            ticket ??= await ticketFor(file, wish); // the same one for each retry
            return ticket;
        }),
    });
    uppy.addFile({ name: file.name, type: file.type, data: file });
    let result = await uppy.upload();
    for (let left = TRIES; result.failed.length > 0 && left > 1; left -= 1) {
        result = await uppy.retryAll(); // what Uppy's own button does
    }
    if (result.failed.length > 0) {
        throw new Error(String(result.failed[0].error));
    }
    return { imageId: ticket.imageId, status: 'uploaded' };
}

const WAYS = {
    fetch: (file, wish) => repeated(sendByFetch, file, wish),
    XMLHttpRequest: (file, wish) => repeated(sendByXhr, file, wish),
    'Uppy 4': (file, wish) =>
        byUppy(4, file, wish, (ask) => ({
            async getUploadParameters() {
                const { method, url, fields, headers } = await ask();
                return { method, url, fields: fields ?? {}, headers };
            },
        })),
    'Uppy 6': (file, wish) =>
        byUppy(6, file, wish, (ask) => ({
            async signRequest() {
                const { url, fields, headers } = await ask();
                return { url, fields, headers };
            },
        })),
};

globalThis.upload = async (way, path, name, type, wish) => {
    const bytes = await (await fetch(path)).arrayBuffer();
    return WAYS[way](new File([bytes], name, { type }), wish);
};

// Returns the size of a picture from another origin, the colour of its middle as a canvas reads it,
// and the SHA-256 of its bytes as fetch reads them.
globalThis.readPixels = async (url) => {
    const picture = new Image();
    picture.crossOrigin = 'anonymous';
    picture.src = url;
    await picture.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
    const context = canvas.getContext('2d');
    context.drawImage(picture, 0, 0);
    const middle = context.getImageData(canvas.width >> 1, canvas.height >> 1, 1, 1).data;
    const answer = await fetch(url, { headers: { 'X-Trace': 'makes a preflight' } });
    return {
        size: [canvas.width, canvas.height],
        colour: Array.from(middle),
        sha256: await hexOfSha256(await answer.blob()),
        status: answer.status,
    };
};
