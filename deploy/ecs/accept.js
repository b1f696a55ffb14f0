// CloudFront calls this for every request, before it looks into its cache. It replaces Accept by one
// of three texts, so that the cache keeps at most three copies of a picture. The text never accepts
// more than the client does: AVIF and WebP only if the client names them and prefers nothing else.
// Runtime cloudfront-js-2.0; no state, no network.

var AVIF = 'image/avif,image/webp,image/*';
var WEBP = 'image/webp,image/*';
var JPEG = 'image/*';
var LONGEST = 1000; // characters; browsers send about a hundred

function qualities(accept) {
    var found = {};
    accept.toLowerCase().split(',').forEach(function (item) {
        var parts = item.split(';');
        var q = 1;
        parts.slice(1).forEach(function (parameter) {
            var text = parameter.trim();
            if (text.indexOf('q=') === 0) {
                q = /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(text.slice(2)) ? Number(text.slice(2)) : 0;
            }
        });
        found[parts[0].trim()] = q;
    });
    return found;
}

function first(values) {
    for (var i = 0; i < values.length; i++) {
        if (values[i] !== undefined) {
            return values[i];
        }
    }
    return 0;
}

function negotiated(accept) {
    if (accept.length > LONGEST) {
        return JPEG;
    }
    var q = qualities(accept);
    var avif = q['image/avif'] || 0;
    var webp = q['image/webp'] || 0;
    var jpeg = first([q['image/jpeg'], q['image/*'], q['*/*']]);
    if (avif > 0 && webp > 0 && avif >= webp && avif >= jpeg) {
        return AVIF;
    }
    return webp > 0 && webp >= jpeg ? WEBP : JPEG;
}

function handler(event) {
    var request = event.request;
    var accept = request.headers.accept;
    var lines = accept && accept.multiValue ? accept.multiValue : accept ? [accept] : [];
    var said = lines.map(function (line) { return line.value; }).join(',');
    request.headers.accept = { value: negotiated(said) };
    return request;
}
