"""How a message leaves: by HTTP, into a Redis stream, or to an AMQP exchange, behind one small port."""
