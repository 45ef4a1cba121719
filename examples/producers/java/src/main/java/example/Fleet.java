package example;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A fleet in Java: reports quality figures, labelled predictions, and predictions whose labels come later.
 *
 * <pre>mvn -q compile exec:java -Dexec.args="broker:9092 visutility.metrics fraud-eu 10"</pre>
 *
 * What travels is JSON (docs/formats.md). A service would write it with its JSON library; this needs kafka-clients alone.
 */
public final class Fleet {
    private Fleet() {}

    /** Arguments: HOST:PORT, the topic, the model's name, how many messages of each kind. */
    public static void main(String[] arguments) throws Exception {
        String servers = arguments[0], topic = arguments[1], model = arguments[2];
        int count = Integer.parseInt(arguments[3]);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(reliable(servers))) {
            for (String record : records(model, count, System.currentTimeMillis() / 1000.0)) {
                // The key is the model's name: a model's records stay in order, and meet in one partition.
                sent.add(producer.send(new ProducerRecord<>(topic, model, record)));
            }
            producer.flush();
            for (Future<RecordMetadata> each : sent) {
                each.get(); // throws what kept the record from being taken
            }
        }
        System.out.printf("sent %d records of %s to %s%n", sent.size(), model, topic);
    }

    /** What a fleet should not leave to defaults. Java's own partitioner places keys where the worker expects them. */
    private static Properties reliable(String servers) {
        Properties settings = new Properties();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, StringSerializer.class);
        settings.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, StringSerializer.class);
        // A record is sent once all in-sync replicas have it, and a repetition after a lost answer does not count twice.
        settings.put(ProducerConfig.ACKS_CONFIG, "all");
        settings.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
        // Records wait a moment for others: a batch costs little more than one of them.
        settings.put(ProducerConfig.LINGER_MS_CONFIG, 20);
        settings.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4");
        return settings;
    }

    /** Messages of every kind that a fleet usually sends, {@code count} of each. */
    private static List<String> records(String model, int count, double now) {
        List<String> records = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            double time = now + number;
            // Quality figures that the fleet has worked out by itself: of a batch, a minute, a canary.
            records.add(message("metrics", model, time, "\"accuracy\": 0.94, \"extras\": {\"latency_ms\": 12.5}"));
            // Predictions whose labels are known: the monitor works the figures out. 1 to 100,000 in one message.
            records.add(message("outcomes", model, time, "\"y_true\": [0, 1, 1], \"y_pred\": [0, 1, 0], \"scores\": [0.1, 0.9, 0.4]"));
            // A prediction now, its label when it is known: here at once, in life days later.
            String prediction = "\"prediction_id\": " + text(model + "-" + number);
            records.add(message("prediction", model, time, prediction + ", \"y_pred\": 1, \"score\": 0.8"));
            records.add(message("label", model, time, prediction + ", \"y_true\": 1"));
        }
        // A model that sends heartbeats is reported when it falls silent.
        records.add(message("heartbeat", model, now + count, "\"labels\": {\"region\": \"eu\"}"));
        return records;
    }

    /** One message: what all have in common, and the members of its kind. Times are epoch seconds. */
    private static String message(String type, String model, double time, String members) {
        return String.format(
                Locale.ROOT,
                "{\"type\": \"%s\", \"event_id\": \"%s\", \"model_name\": %s, \"model_version\": \"7\", \"timestamp\": %.3f, %s}",
                type, UUID.randomUUID(), text(model), time, members);
    }

    /** A JSON string. */
    private static String text(String value) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char each : value.toCharArray()) {
            if (each == '"' || each == '\\') {
                quoted.append('\\').append(each);
            } else if (each < 0x20) {
                quoted.append(String.format("\\u%04x", (int) each));
            } else {
                quoted.append(each);
            }
        }
        return quoted.append('"').toString();
    }
}
