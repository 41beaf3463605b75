<?php

// Verifies a webhook where it is received. One file to copy; PHP 8.1 or later, and for v1a the extension sodium, which
// is part of PHP.
//
//   try {
//       $event = verify_webhook(getallheaders(), file_get_contents('php://input'), ['whsec_...']);
//   } catch (NotVerified $refusal) {
//       http_response_code(401);                       // $refusal->getMessage() says why
//   }
//
// It returns id, type, timestamp and scheme. Give it the raw bytes of the body, before anything parses them. Keys: the
// endpoint's secret as it was shown (whsec_..., or your own text), or its public keys (whpk_...), one or several during
// a rotation. Remember the id that it returns: the same message may come more than once.

declare(strict_types=1);

/** The message is not to be trusted. Its text says why and holds no secret. */
final class NotVerified extends Exception
{
}

/**
 * What was proved. `headers`: names and values.
 *
 * @return array{id: string, type: string, timestamp: int, scheme: string}
 * @throws NotVerified
 */
function verify_webhook(array $headers, string $body, array $keys, float $tolerance = 300, ?float $now = null): array
{
    return (new WebhookVerifier($headers, $body, $keys, $tolerance, $now ?? microtime(true)))->verify();
}

final class WebhookVerifier
{
    private const LONGEST_HEADER = 8192;
    private const MOST_SIGNATURES = 20;
    private const MOST_KEYS = 20;
    private const SHORTEST_SECRET = 24;
    private const ID = '/^[\x21-\x2d\x2f-\x7e]{1,255}$/D'; // printable, no space, no dot
    private const WANTED = [
        'webhook-id', 'webhook-timestamp', 'webhook-signature',
        'x-signature-event', 'x-signature-timestamp', 'x-signature-signature',
    ];

    /** @var array<string, string> */
    private array $headers = [];
    /** @var list<string> */
    private array $standard = [];
    /** @var list<string> */
    private array $seed = [];
    /** @var list<string> */
    private array $public = [];
    /** @var list<string> */
    private array $refusals = [];

    public function __construct(
        array $headers,
        private string $body,
        array $keys,
        private float $tolerance,
        private float $now,
    ) {
        $this->readHeaders($headers);
        $this->readKeys(array_values($keys));
    }

    public function verify(): array
    {
        $found = $this->checkStandard() ?? $this->checkSeed();
        if ($found === null) {
            throw new NotVerified(implode('; ', $this->refusals));
        }
        [$id, $timestamp, $scheme] = $found;
        [$id, $type] = $this->readBody($id);
        return ['id' => $id, 'type' => $type, 'timestamp' => $timestamp, 'scheme' => $scheme];
    }

    private function checkStandard(): ?array
    {
        $listed = $this->headers['webhook-signature'] ?? null;
        if ($listed === null) {
            return $this->refuse('there is no webhook-signature');
        }
        $id = $this->headers['webhook-id'] ?? '';
        if (preg_match(self::ID, $id) !== 1) {
            return $this->refuse('webhook-id is missing or malformed');
        }
        $timestamp = $this->headers['webhook-timestamp'] ?? '';
        if (!$this->isTimely($timestamp, 'webhook-timestamp')) {
            return null;
        }
        $signed = "$id.$timestamp." . $this->body;
        $expected = array_map(
            fn (string $key): string => 'v1,' . base64_encode(hash_hmac('sha256', $signed, $key, true)),
            $this->standard,
        );
        foreach (array_slice(explode(' ', $listed), 0, self::MOST_SIGNATURES) as $value) {
            if (str_starts_with($value, 'v1,') && self::isOneOf($value, $expected)) {
                return [$id, (int) $timestamp, 'v1'];
            }
            if (str_starts_with($value, 'v1a,') && $this->isSigned(substr($value, 4), $signed)) {
                return [$id, (int) $timestamp, 'v1a'];
            }
        }
        return $this->refuse('no signature of webhook-signature was made with one of the keys');
    }

    private function checkSeed(): ?array
    {
        $value = $this->headers['x-signature-signature'] ?? null;
        if ($value === null) {
            return $this->refuse('there is no X-Signature-Signature');
        }
        $timestamp = $this->headers['x-signature-timestamp'] ?? '';
        if (!$this->isTimely($timestamp, 'X-Signature-Timestamp')) {
            return null;
        }
        $signed = "$timestamp." . $this->body;
        $expected = array_map(
            fn (string $key): string => 'sha256=' . hash_hmac('sha256', $signed, $key),
            $this->seed,
        );
        if (!self::isOneOf($value, $expected)) {
            return $this->refuse('X-Signature-Signature was not made with one of the secrets');
        }
        return ['', (int) $timestamp, 'seed']; // this header signs no id: the body's is taken
    }

    private static function isOneOf(string $value, array $expected): bool
    {
        $found = false;
        foreach ($expected as $one) { // every comparison is made, whatever the first one says
            $found = hash_equals($one, $value) || $found;
        }
        return $found;
    }

    private function isSigned(string $value, string $signed): bool
    {
        $signature = self::decode($value);
        if ($signature === null || strlen($signature) !== 64) {
            return false;
        }
        foreach ($this->public as $key) {
            if (sodium_crypto_sign_verify_detached($signature, $signed, $key)) {
                return true;
            }
        }
        return false;
    }

    private function isTimely(string $text, string $name): bool
    {
        if (preg_match('/^[0-9]{1,12}$/D', $text) !== 1) {
            $this->refuse("$name is missing or malformed");
            return false;
        }
        if (!(is_finite($this->now) && abs($this->now - (int) $text) <= $this->tolerance)) {
            $this->refuse("$name is too old or too new");
            return false;
        }
        return true;
    }

    /** @return array{string, string} id and type */
    private function readBody(string $signedId): array
    {
        try {
            $event = json_decode($this->body, true, 512, JSON_THROW_ON_ERROR);
        } catch (JsonException) {
            throw new NotVerified('the body is signed, but it is no JSON');
        }
        if (!is_array($event) || !str_starts_with(ltrim($this->body, " \t\r\n"), '{')) {
            throw new NotVerified('the body is signed, but it is no JSON object');
        }
        $type = $event['type'] ?? null;
        if (!is_string($type) || preg_match('/^[A-Za-z0-9_.-]{1,128}$/D', $type) !== 1) {
            throw new NotVerified('the body is signed, but it has no type');
        }
        $hint = $this->headers['x-signature-event'] ?? $type;
        if ($hint !== $type) {
            throw new NotVerified('X-Signature-Event is not the type of the signed body');
        }
        $inside = $event['id'] ?? null;
        if ($inside !== null && !(is_string($inside) && preg_match(self::ID, $inside) === 1)) {
            throw new NotVerified("the body's id is malformed");
        }
        $outside = $this->headers['webhook-id'] ?? $signedId;
        if ($inside !== null && $outside !== '' && $inside !== $outside) {
            throw new NotVerified('webhook-id is not the id of the signed body');
        }
        $known = $signedId !== '' ? $signedId : $inside;
        if ($known === null) {
            throw new NotVerified('the body is signed, but it has no id');
        }
        return [$known, $type];
    }

    private function readHeaders(array $headers): void
    {
        foreach ($headers as $name => $given) {
            $key = strtolower((string) $name);
            if (!in_array($key, self::WANTED, true)) {
                continue;
            }
            foreach (is_array($given) ? $given : [$given] as $value) {
                if (!is_string($value) || strlen($value) > self::LONGEST_HEADER || preg_match('/[^\x00-\x7f]/', $value)) {
                    throw new NotVerified("$key is malformed");
                }
                $clean = trim($value, " \t");
                if (($this->headers[$key] ?? $clean) !== $clean) {
                    throw new NotVerified("$key is there twice");
                }
                $this->headers[$key] = $clean;
            }
        }
    }

    /** A key that cannot be read is an error and not skipped: whoever mistyped it would wait for it in vain. */
    private function readKeys(array $given): void
    {
        if (count($given) < 1 || count($given) > self::MOST_KEYS) {
            throw new NotVerified('there must be 1 to ' . self::MOST_KEYS . ' keys');
        }
        foreach ($given as $at => $key) {
            $place = 'key ' . ($at + 1);
            if (!is_string($key) || preg_match('/[^\x00-\x7f]/', $key)) {
                throw new NotVerified("$place is not a text of ASCII");
            }
            if (str_starts_with($key, 'whsk_')) {
                throw new NotVerified("$place is a private key, which no receiver should have");
            }
            if (str_starts_with($key, 'whpk_')) {
                $this->public[] = self::readPublicKey(substr($key, 5), $place);
                continue;
            }
            $this->standard[] = self::readSecret($key, $place);
            $this->seed[] = $key;
        }
    }

    private static function readPublicKey(string $text, string $place): string
    {
        if (!function_exists('sodium_crypto_sign_verify_detached')) {
            throw new NotVerified("$place is a public key: enable PHP's extension sodium");
        }
        $bytes = self::decode($text);
        if ($bytes === null || strlen($bytes) !== 32) {
            throw new NotVerified("$place is not whpk_ and the base64 of 32 bytes");
        }
        return $bytes;
    }

    private static function readSecret(string $key, string $place): string
    {
        if (str_starts_with($key, 'whsec_')) {
            $bytes = self::decode(substr($key, 6));
            if ($bytes === null || strlen($bytes) < self::SHORTEST_SECRET) {
                $least = self::SHORTEST_SECRET;
                throw new NotVerified("$place is not whsec_ and the base64 of $least bytes or more");
            }
            return $bytes;
        }
        if (strlen($key) < self::SHORTEST_SECRET) {
            throw new NotVerified("$place has less than " . self::SHORTEST_SECRET . ' characters');
        }
        return $key;
    }

    /** Base64 in its one canonical form, or null. */
    private static function decode(string $text): ?string
    {
        $bytes = base64_decode($text, true);
        return $bytes !== false && base64_encode($bytes) === $text ? $bytes : null;
    }

    private function refuse(string $reason): ?array
    {
        $this->refusals[] = $reason;
        return null;
    }
}

// What follows runs the published vectors: php verify.php vectors.json. Leave it out of your service.
if (PHP_SAPI === 'cli' && realpath($argv[0]) === __FILE__) {
    $cases = json_decode(file_get_contents($argv[1]), true, 512, JSON_THROW_ON_ERROR)['cases'];
    foreach ($cases as $one) {
        try {
            $body = base64_decode($one['body_base64'], true);
            $found = verify_webhook($one['headers'], $body, $one['keys'], $one['tolerance_s'], $one['now']);
            $verdict = ['ok' => true] + $found;
        } catch (NotVerified $refusal) {
            $verdict = ['ok' => false, 'reason' => $refusal->getMessage()];
        }
        echo json_encode(['name' => $one['name']] + $verdict, JSON_THROW_ON_ERROR), "\n";
    }
}
