# frozen_string_literal: true

# Verifies a webhook where it is received. One file to copy; Ruby 3.0 or later, the standard library only.
#
#   event = verify_webhook(request.env, request.body.read, ["whsec_..."])   # id, type, timestamp, scheme
# rescue NotVerified => refusal                                             # answer 401; refusal.message says why
#
# Give it the raw bytes of the body, before anything parses them. Keys: the endpoint's secret as it was shown
# (whsec_..., or your own text), or its public keys (whpk_...), one or several during a rotation. Remember the `id`
# that it returns: the same message may come more than once.
require "json"
require "openssl"

# The message is not to be trusted. Its text says why and holds no secret.
class NotVerified < StandardError; end

Verified = Struct.new(:id, :type, :timestamp, :scheme, keyword_init: true)

# What was proved. Raises NotVerified. `headers`: names and values, or Rack's environment (HTTP_WEBHOOK_ID).
def verify_webhook(headers, body, keys, tolerance: 300, now: Time.now.to_f)
  WebhookVerifier.new(headers, body, keys, tolerance, now).verify
end

class WebhookVerifier
  LONGEST_HEADER = 8192
  MOST_SIGNATURES = 20
  MOST_KEYS = 20
  SHORTEST_SECRET = 24
  ID = /\A[\x21-\x2d\x2f-\x7e]{1,255}\z/.freeze # printable, no space, no dot
  WANTED = %w[webhook-id webhook-timestamp webhook-signature
              x-signature-event x-signature-timestamp x-signature-signature].freeze

  def initialize(headers, body, keys, tolerance, now)
    raise NotVerified, "the body must be the raw bytes that were received" unless body.is_a?(String)

    @body = body.b
    @headers = read_headers(headers)
    @standard, @seed, @public = [], [], []
    read_keys(keys.is_a?(String) ? [keys] : keys)
    @tolerance, @now = tolerance, now
    @refusals = []
  end

  def verify
    id, timestamp, scheme = check_standard || check_seed
    raise NotVerified, @refusals.join("; ") if scheme.nil?

    id, type = read_body(id)
    Verified.new(id: id, type: type, timestamp: timestamp, scheme: scheme)
  end

  private

  def check_standard
    listed = @headers["webhook-signature"] or return refuse("there is no webhook-signature")
    id = @headers["webhook-id"].to_s
    return refuse("webhook-id is missing or malformed") unless ID.match?(id)

    text = @headers["webhook-timestamp"].to_s
    return nil unless timely?(text, "webhook-timestamp")

    signed = "#{id}.#{text}.".b + @body
    expected = @standard.map { |key| "v1,#{[OpenSSL::HMAC.digest('SHA256', key, signed)].pack('m0')}" }
    listed.split(" ", -1).first(MOST_SIGNATURES).each do |value|
      return [id, text.to_i, "v1"] if value.start_with?("v1,") && one_of?(value, expected)
      return [id, text.to_i, "v1a"] if value.start_with?("v1a,") && signed?(value[4..], signed)
    end
    refuse("no signature of webhook-signature was made with one of the keys")
  end

  def check_seed
    value = @headers["x-signature-signature"] or return refuse("there is no X-Signature-Signature")
    text = @headers["x-signature-timestamp"].to_s
    return nil unless timely?(text, "X-Signature-Timestamp")

    signed = "#{text}.".b + @body
    expected = @seed.map { |key| "sha256=#{OpenSSL::HMAC.hexdigest('SHA256', key, signed)}" }
    return refuse("X-Signature-Signature was not made with one of the secrets") unless one_of?(value, expected)

    ["", text.to_i, "seed"] # this header signs no id: the body's is taken
  end

  # Every comparison is made, whatever the first one says.
  def one_of?(value, expected)
    expected.map { |one| one.bytesize == value.bytesize && OpenSSL.fixed_length_secure_compare(one, value) }.any?
  end

  def signed?(value, signed)
    signature = decode(value)
    return false unless signature && signature.bytesize == 64

    @public.any? { |key| key.verify(nil, signature, signed) }
  rescue OpenSSL::PKey::PKeyError
    false
  end

  def timely?(text, name)
    if !/\A[0-9]{1,12}\z/.match?(text)
      refuse("#{name} is missing or malformed")
    elsif !((@now - text.to_i).abs <= @tolerance)
      refuse("#{name} is too old or too new")
    else
      return true
    end
    false
  end

  def read_body(signed_id)
    text = @body.dup.force_encoding(Encoding::UTF_8)
    raise NotVerified, "the body is signed, but it is no JSON" unless text.valid_encoding?

    begin
      event = JSON.parse(text, create_additions: false)
    rescue JSON::ParserError
      raise NotVerified, "the body is signed, but it is no JSON"
    end
    raise NotVerified, "the body is signed, but it is no JSON object" unless event.is_a?(Hash)

    type = event["type"]
    unless type.is_a?(String) && /\A[A-Za-z0-9_.-]{1,128}\z/.match?(type)
      raise NotVerified, "the body is signed, but it has no type"
    end

    hint = @headers["x-signature-event"]
    raise NotVerified, "X-Signature-Event is not the type of the signed body" unless hint.nil? || hint == type

    inside = event["id"]
    unless inside.nil? || (inside.is_a?(String) && ID.match?(inside))
      raise NotVerified, "the body's id is malformed"
    end

    outside = @headers.fetch("webhook-id", signed_id)
    raise NotVerified, "webhook-id is not the id of the signed body" if inside && !outside.empty? && inside != outside

    known = signed_id.empty? ? inside : signed_id
    raise NotVerified, "the body is signed, but it has no id" if known.nil?

    [known, type]
  end

  def read_headers(headers)
    headers.to_h.each_with_object({}) do |(name, given), read|
      key = name.to_s.sub(/\AHTTP_/, "").tr("_", "-").downcase
      next unless WANTED.include?(key)

      Array(given).each do |value|
        unless value.is_a?(String) && value.length <= LONGEST_HEADER && value.ascii_only?
          raise NotVerified, "#{key} is malformed"
        end

        clean = value.gsub(/\A[ \t]+|[ \t]+\z/, "")
        raise NotVerified, "#{key} is there twice" if read.fetch(key, clean) != clean

        read[key] = clean
      end
    end
  end

  # A key that cannot be read is an error and not skipped: whoever mistyped it would wait for it in vain.
  def read_keys(given)
    unless given.is_a?(Array) && given.length.between?(1, MOST_KEYS)
      raise NotVerified, "there must be 1 to #{MOST_KEYS} keys"
    end

    given.each.with_index(1) do |key, place|
      raise NotVerified, "key #{place} is not a text of ASCII" unless key.is_a?(String) && key.ascii_only?
      raise NotVerified, "key #{place} is a private key, which no receiver should have" if key.start_with?("whsk_")

      if key.start_with?("whpk_")
        @public << read_public_key(decode(key[5..]), place)
      else
        @standard << read_secret(key, place)
        @seed << key
      end
    end
  end

  def read_public_key(bytes, place)
    raise NotVerified, "key #{place} is not whpk_ and the base64 of 32 bytes" unless bytes && bytes.bytesize == 32

    OpenSSL::PKey.read(["302a300506032b6570032100"].pack("H*") + bytes) # RFC 8410
  rescue OpenSSL::PKey::PKeyError
    raise NotVerified, "key #{place} is no Ed25519 key"
  end

  def read_secret(key, place)
    unless key.start_with?("whsec_")
      raise NotVerified, "key #{place} has less than #{SHORTEST_SECRET} characters" if key.length < SHORTEST_SECRET

      return key
    end
    bytes = decode(key[6..])
    return bytes if bytes && bytes.bytesize >= SHORTEST_SECRET

    raise NotVerified, "key #{place} is not whsec_ and the base64 of #{SHORTEST_SECRET} bytes or more"
  end

  # Base64 in its one canonical form, or nil.
  def decode(text)
    bytes = text.unpack1("m0")
    [bytes].pack("m0") == text ? bytes : nil
  rescue ArgumentError
    nil
  end

  def refuse(reason)
    @refusals << reason
    nil
  end
end

# What follows runs the published vectors: ruby verify.rb vectors.json. Leave it out of your service.
if $PROGRAM_NAME == __FILE__
  JSON.parse(File.read(ARGV[0], encoding: "UTF-8"))["cases"].each do |one|
    begin
      body = one["body_base64"].unpack1("m0")
      found = verify_webhook(one["headers"], body, one["keys"], tolerance: one["tolerance_s"], now: one["now"])
      verdict = { ok: true }.merge(found.to_h)
    rescue NotVerified => refusal
      verdict = { ok: false, reason: refusal.message }
    end
    puts JSON.generate({ name: one["name"] }.merge(verdict))
  end
end
