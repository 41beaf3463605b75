// Verifies a webhook where it is received. One file to copy; Java 17 or later, the JDK alone.
//
//   try {
//       Verify.Verified event = Verify.webhook(exchange.getRequestHeaders(), body, List.of("whsec_..."), 300, seconds);
//   } catch (Verify.NotVerified refusal) {
//       // answer 401; refusal.getMessage() says why
//   }
//
// Give it the raw bytes of the body, before anything parses them. Keys: the endpoint's secret as it was shown
// (whsec_..., or your own text), or its public keys (whpk_...), one or several during a rotation. `seconds` is the
// clock: System.currentTimeMillis() / 1000.0. Remember the id that it returns: the same message may come more than once.
// The JDK reads no JSON, so a small strict reader stands below; use your own library's if you like.

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public final class Verify {
    private static final int LONGEST_HEADER = 8192;
    private static final int MOST_SIGNATURES = 20;
    private static final int MOST_KEYS = 20;
    private static final int SHORTEST_SECRET = 24;
    private static final Pattern ID = Pattern.compile("[\\x21-\\x2d\\x2f-\\x7e]{1,255}"); // printable, no space, no dot
    private static final Pattern TYPE = Pattern.compile("[A-Za-z0-9_.-]{1,128}");
    private static final Pattern TIMESTAMP = Pattern.compile("[0-9]{1,12}");
    private static final Set<String> WANTED = Set.of(
            "webhook-id", "webhook-timestamp", "webhook-signature",
            "x-signature-event", "x-signature-timestamp", "x-signature-signature");

    /** The message is not to be trusted. Its text says why and holds no secret. */
    public static final class NotVerified extends Exception {
        NotVerified(String reason) {
            super(reason);
        }
    }

    /** What was proved. `id`: the same for every repetition. `scheme`: v1, v1a, or seed for X-Signature-Signature. */
    public record Verified(String id, String type, long timestamp, String scheme) {}

    private final Map<String, String> headers;
    private final byte[] body;
    private final List<byte[]> standard = new ArrayList<>();
    private final List<byte[]> seed = new ArrayList<>();
    private final List<PublicKey> open = new ArrayList<>();
    private final double toleranceS;
    private final double now;
    private final List<String> refusals = new ArrayList<>();

    /** `headers`: names and their values, as HttpServer, HttpHeaders.map() and most frameworks have them. */
    public static Verified webhook(
            Map<String, List<String>> headers, byte[] body, List<String> keys, double toleranceS, double now)
            throws NotVerified {
        try {
            return new Verify(headers, body, keys, toleranceS, now).verify();
        } catch (GeneralSecurityException fault) {
            throw new NotVerified("this Java cannot verify: " + fault.getMessage());
        }
    }

    private Verify(Map<String, List<String>> headers, byte[] body, List<String> keys, double toleranceS, double now)
            throws NotVerified, GeneralSecurityException {
        this.headers = readHeaders(headers);
        this.body = body;
        this.toleranceS = toleranceS;
        this.now = now;
        readKeys(keys);
    }

    private Verified verify() throws NotVerified, GeneralSecurityException {
        Verified found = checkStandard();
        if (found == null) {
            found = checkSeed();
        }
        if (found == null) {
            throw new NotVerified(String.join("; ", refusals));
        }
        return readBody(found);
    }

    private Verified checkStandard() throws GeneralSecurityException {
        String listed = headers.get("webhook-signature");
        if (listed == null) {
            return refuse("there is no webhook-signature");
        }
        String id = headers.getOrDefault("webhook-id", "");
        if (!ID.matcher(id).matches()) {
            return refuse("webhook-id is missing or malformed");
        }
        String timestamp = headers.getOrDefault("webhook-timestamp", "");
        if (!isTimely(timestamp, "webhook-timestamp")) {
            return null;
        }
        byte[] signed = join(id + "." + timestamp + ".", body);
        List<String> expected = new ArrayList<>();
        for (byte[] key : standard) {
            expected.add("v1," + Base64.getEncoder().encodeToString(digest(key, signed)));
        }
        String[] values = listed.split(" ", -1);
        for (String value : Arrays.copyOf(values, Math.min(values.length, MOST_SIGNATURES))) {
            if (value.startsWith("v1,") && isOneOf(value, expected)) {
                return new Verified(id, "", Long.parseLong(timestamp), "v1");
            }
            if (value.startsWith("v1a,") && isSigned(value.substring(4), signed)) {
                return new Verified(id, "", Long.parseLong(timestamp), "v1a");
            }
        }
        return refuse("no signature of webhook-signature was made with one of the keys");
    }

    /** This header signs no id: the body's is taken. */
    private Verified checkSeed() throws GeneralSecurityException {
        String value = headers.get("x-signature-signature");
        if (value == null) {
            return refuse("there is no X-Signature-Signature");
        }
        String timestamp = headers.getOrDefault("x-signature-timestamp", "");
        if (!isTimely(timestamp, "X-Signature-Timestamp")) {
            return null;
        }
        byte[] signed = join(timestamp + ".", body);
        List<String> expected = new ArrayList<>();
        for (byte[] key : seed) {
            expected.add("sha256=" + HexFormat.of().formatHex(digest(key, signed)));
        }
        if (!isOneOf(value, expected)) {
            return refuse("X-Signature-Signature was not made with one of the secrets");
        }
        return new Verified("", "", Long.parseLong(timestamp), "seed");
    }

    private Verified refuse(String reason) {
        refusals.add(reason);
        return null;
    }

    private boolean isTimely(String text, String name) {
        if (!TIMESTAMP.matcher(text).matches()) {
            refusals.add(name + " is missing or malformed");
        } else if (!(Math.abs(now - Long.parseLong(text)) <= toleranceS)) {
            refusals.add(name + " is too old or too new");
        } else {
            return true;
        }
        return false;
    }

    /** Every comparison is made, whatever the first one says. */
    private static boolean isOneOf(String value, List<String> expected) {
        boolean found = false;
        for (String one : expected) {
            found |= MessageDigest.isEqual(bytes(one), bytes(value));
        }
        return found;
    }

    private boolean isSigned(String value, byte[] signed) throws GeneralSecurityException {
        byte[] signature = decode(value);
        if (signature == null || signature.length != 64) {
            return false;
        }
        for (PublicKey key : open) {
            Signature check = Signature.getInstance("Ed25519");
            try {
                check.initVerify(key);
                check.update(signed);
                if (check.verify(signature)) {
                    return true;
                }
            } catch (GeneralSecurityException malformed) {
                continue; // a signature or key that is no point of the curve
            }
        }
        return false;
    }

    private Verified readBody(Verified found) throws NotVerified {
        Object read;
        try {
            read = Json.read(body);
        } catch (IllegalArgumentException malformed) {
            throw new NotVerified("the body is signed, but it is no JSON");
        }
        if (!(read instanceof Map<?, ?> event)) {
            throw new NotVerified("the body is signed, but it is no JSON object");
        }
        if (!(event.get("type") instanceof String type) || !TYPE.matcher(type).matches()) {
            throw new NotVerified("the body is signed, but it has no type");
        }
        if (!headers.getOrDefault("x-signature-event", type).equals(type)) {
            throw new NotVerified("X-Signature-Event is not the type of the signed body");
        }
        Object inside = event.get("id");
        if (inside != null && !(inside instanceof String text && ID.matcher(text).matches())) {
            throw new NotVerified("the body's id is malformed");
        }
        String outside = headers.getOrDefault("webhook-id", found.id());
        if (inside != null && !outside.isEmpty() && !inside.equals(outside)) {
            throw new NotVerified("webhook-id is not the id of the signed body");
        }
        if (found.id().isEmpty() && inside == null) {
            throw new NotVerified("the body is signed, but it has no id");
        }
        String id = found.id().isEmpty() ? (String) inside : found.id();
        return new Verified(id, type, found.timestamp(), found.scheme());
    }

    private static Map<String, String> readHeaders(Map<String, List<String>> headers) throws NotVerified {
        Map<String, String> read = new HashMap<>();
        for (Map.Entry<String, List<String>> header : headers.entrySet()) {
            String key = header.getKey() == null ? "" : header.getKey().toLowerCase(Locale.ROOT);
            if (!WANTED.contains(key)) {
                continue;
            }
            for (String value : header.getValue()) {
                if (value == null || value.length() > LONGEST_HEADER || !isAscii(value)) {
                    throw new NotVerified(key + " is malformed");
                }
                String clean = value.replaceAll("\\A[ \\t]+|[ \\t]+\\z", "");
                String before = read.putIfAbsent(key, clean);
                if (before != null && !before.equals(clean)) {
                    throw new NotVerified(key + " is there twice");
                }
            }
        }
        return read;
    }

    /** A key that cannot be read is an error and not skipped: whoever mistyped it would wait for it in vain. */
    private void readKeys(List<String> given) throws NotVerified, GeneralSecurityException {
        if (given == null || given.isEmpty() || given.size() > MOST_KEYS) {
            throw new NotVerified("there must be 1 to " + MOST_KEYS + " keys");
        }
        for (int at = 0; at < given.size(); at++) {
            String key = given.get(at);
            String place = "key " + (at + 1);
            if (key == null || !isAscii(key)) {
                throw new NotVerified(place + " is not a text of ASCII");
            } else if (key.startsWith("whsk_")) {
                throw new NotVerified(place + " is a private key, which no receiver should have");
            } else if (key.startsWith("whpk_")) {
                open.add(readPublicKey(key.substring(5), place));
            } else {
                standard.add(readSecret(key, place));
                seed.add(bytes(key));
            }
        }
    }

    private static PublicKey readPublicKey(String text, String place) throws NotVerified, GeneralSecurityException {
        byte[] decoded = decode(text);
        if (decoded == null || decoded.length != 32) {
            throw new NotVerified(place + " is not whpk_ and the base64 of 32 bytes");
        }
        byte[] der = ByteBuffer.allocate(44)
                .put(HexFormat.of().parseHex("302a300506032b6570032100")) // RFC 8410
                .put(decoded)
                .array();
        return KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(der));
    }

    private static byte[] readSecret(String key, String place) throws NotVerified {
        if (key.startsWith("whsec_")) {
            byte[] decoded = decode(key.substring(6));
            if (decoded == null || decoded.length < SHORTEST_SECRET) {
                throw new NotVerified(
                        place + " is not whsec_ and the base64 of " + SHORTEST_SECRET + " bytes or more");
            }
            return decoded;
        }
        if (key.length() < SHORTEST_SECRET) {
            throw new NotVerified(place + " has less than " + SHORTEST_SECRET + " characters");
        }
        return bytes(key);
    }

    private static byte[] digest(byte[] key, byte[] signed) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(signed);
    }

    /** Base64 in its one canonical form, or null. */
    private static byte[] decode(String text) {
        try {
            byte[] decoded = Base64.getDecoder().decode(text);
            return Base64.getEncoder().encodeToString(decoded).equals(text) ? decoded : null;
        } catch (IllegalArgumentException malformed) {
            return null;
        }
    }

    private static byte[] join(String head, byte[] body) {
        byte[] start = bytes(head);
        return ByteBuffer.allocate(start.length + body.length).put(start).put(body).array();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static boolean isAscii(String text) {
        return text.chars().allMatch(letter -> letter < 128);
    }

    /** Strict JSON (RFC 8259): objects are maps, lists are lists, texts are strings, numbers are doubles. */
    private static final class Json {
        private static final Pattern NUMBER = Pattern.compile("-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]+)?");
        private static final int DEEPEST = 512;
        private final String text;
        private int at = 0;
        private int depth = 0;

        private Json(String text) {
            this.text = text;
        }

        static Object read(byte[] bytes) {
            try {
                Json json = new Json(StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString());
                Object value = json.value();
                json.space();
                if (json.at != json.text.length()) {
                    throw new IllegalArgumentException("something follows the value");
                }
                return value;
            } catch (CharacterCodingException malformed) {
                throw new IllegalArgumentException("this is not UTF-8");
            }
        }

        private Object value() {
            space();
            switch (peek()) {
                case '{':
                    return object();
                case '[':
                    return list();
                case '"':
                    return string();
                case 't':
                    return word("true", Boolean.TRUE);
                case 'f':
                    return word("false", Boolean.FALSE);
                case 'n':
                    return word("null", null);
                default:
                    return number();
            }
        }

        private Map<String, Object> object() {
            Map<String, Object> read = new LinkedHashMap<>();
            enter();
            if (!ends('}')) {
                do {
                    space();
                    String name = string();
                    space();
                    expect(':');
                    read.put(name, value());
                } while (goesOn('}'));
            }
            depth--;
            return read;
        }

        private List<Object> list() {
            List<Object> read = new ArrayList<>();
            enter();
            if (!ends(']')) {
                do {
                    read.add(value());
                } while (goesOn(']'));
            }
            depth--;
            return read;
        }

        private String string() {
            expect('"');
            StringBuilder read = new StringBuilder();
            while (true) {
                char letter = next();
                if (letter == '"') {
                    return read.toString();
                } else if (letter < ' ') {
                    throw new IllegalArgumentException("a control character in a text");
                }
                read.append(letter == '\\' ? escaped() : letter);
            }
        }

        private char escaped() {
            char letter = next();
            int known = "\"\\/bfnrt".indexOf(letter);
            if (known >= 0) {
                return "\"\\/\b\f\n\r\t".charAt(known);
            }
            if (letter != 'u' || at + 4 > text.length() || !text.substring(at, at + 4).matches("[0-9A-Fa-f]{4}")) {
                throw new IllegalArgumentException("an unknown escape");
            }
            at += 4;
            return (char) Integer.parseInt(text.substring(at - 4, at), 16);
        }

        private Double number() {
            java.util.regex.Matcher found = NUMBER.matcher(text).region(at, text.length());
            if (!found.lookingAt()) {
                throw new IllegalArgumentException("no value");
            }
            at = found.end();
            return Double.valueOf(found.group());
        }

        private Object word(String word, Object meaning) {
            if (!text.startsWith(word, at)) {
                throw new IllegalArgumentException("no value");
            }
            at += word.length();
            return meaning;
        }

        private void enter() {
            at++;
            if (++depth > DEEPEST) {
                throw new IllegalArgumentException("too deep");
            }
            space();
        }

        private boolean ends(char end) {
            if (peek() != end) {
                return false;
            }
            at++;
            return true;
        }

        private boolean goesOn(char end) {
            space();
            char letter = next();
            if (letter != ',' && letter != end) {
                throw new IllegalArgumentException("neither a comma nor the end");
            }
            return letter == ',';
        }

        private void expect(char wanted) {
            if (next() != wanted) {
                throw new IllegalArgumentException("no " + wanted);
            }
        }

        private char next() {
            char letter = peek();
            at++;
            return letter;
        }

        private char peek() {
            if (at >= text.length()) {
                throw new IllegalArgumentException("the end is missing");
            }
            return text.charAt(at);
        }

        private void space() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
                at++;
            }
        }
    }

    // What follows runs the published vectors: java Verify.java vectors.json. Leave it out of your service.
    @SuppressWarnings("unchecked")
    public static void main(String[] arguments) throws Exception {
        Map<String, Object> file = (Map<String, Object>) Json.read(Files.readAllBytes(Path.of(arguments[0])));
        for (Map<String, Object> one : (List<Map<String, Object>>) file.get("cases")) {
            Map<String, List<String>> headers = new HashMap<>();
            ((Map<String, String>) one.get("headers")).forEach((name, value) -> headers.put(name, List.of(value)));
            String verdict;
            try {
                Verified found = webhook(
                        headers,
                        Base64.getDecoder().decode((String) one.get("body_base64")),
                        (List<String>) one.get("keys"),
                        (Double) one.get("tolerance_s"),
                        (Double) one.get("now"));
                verdict = String.format(
                        "\"ok\":true,\"id\":%s,\"type\":%s,\"timestamp\":%d,\"scheme\":%s",
                        quote(found.id()), quote(found.type()), found.timestamp(), quote(found.scheme()));
            } catch (NotVerified refusal) {
                verdict = "\"ok\":false,\"reason\":" + quote(refusal.getMessage());
            }
            System.out.println("{\"name\":" + quote((String) one.get("name")) + "," + verdict + "}");
        }
    }

    private static String quote(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }
}
