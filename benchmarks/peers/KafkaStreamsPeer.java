import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.Properties;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** Kafka Streams with one thread: a RocksDB store with its record cache and a changelog, at least once. */
public class KafkaStreamsPeer {
  static final int WINDOW = 500, MIN_SAMPLES = 50, HEAD = 2 * Double.BYTES;
  static final double THRESHOLD = 6;
  static final long RECORDS = Long.parseLong(System.getenv("RECORDS"));

  /** The job: a window is its sum, its sum of squares, then the values, oldest first. */
  static class Watch implements Processor<String, byte[], String, String> {
    final ObjectMapper json = new ObjectMapper();
    ProcessorContext<String, String> context;
    KeyValueStore<String, byte[]> windows;

    @Override public void init(ProcessorContext<String, String> context) {
      this.context = context;
      windows = context.getStateStore("windows");
    }

    @Override public void process(Record<String, byte[]> record) {
      try {
        JsonNode message = json.readTree(record.value());
        String name = message.get("model_name").asText();
        double z = score(name, message.get("accuracy").asDouble());
        if (Math.abs(z) > THRESHOLD) context.forward(record.withKey(name).withValue("{\"z\":" + z + "}"));
      } catch (IOException problem) {
        throw new UncheckedIOException(problem);
      }
      count();
    }

    double score(String name, double value) {
      byte[] former = windows.get(name);
      if (former == null) former = new byte[HEAD];
      ByteBuffer old = ByteBuffer.wrap(former);
      int held = (former.length - HEAD) / Double.BYTES, dropped = held == WINDOW ? 1 : 0;
      double oldest = dropped == 1 ? old.getDouble(HEAD) : 0;
      double sum = old.getDouble(0) + value - oldest;
      double squares = old.getDouble(Double.BYTES) + value * value - oldest * oldest;
      int count = held - dropped + 1;
      ByteBuffer next = ByteBuffer.allocate(HEAD + count * Double.BYTES).putDouble(sum).putDouble(squares);
      next.put(former, HEAD + dropped * Double.BYTES, (held - dropped) * Double.BYTES).putDouble(value);
      windows.put(name, next.array());
      if (count < MIN_SAMPLES) return 0;
      double variance = (squares - sum * sum / count) / (count - 1);
      return variance > 1e-18 ? (value - sum / count) / Math.sqrt(variance) : 0;
    }

    /** One thread runs the processors of both partitions, so they count together. */
    static long allDone, allBegin;

    static void count() {
      if (allBegin == 0) allBegin = System.nanoTime();
      if (++allDone < RECORDS) return;
      System.out.printf("{\"records\": %d, \"seconds\": %f}%n", allDone, (System.nanoTime() - allBegin) / 1e9);
      System.out.flush();
      Runtime.getRuntime().halt(0);
    }
  }

  public static void main(String[] arguments) throws Exception {
    Properties settings = new Properties();
    settings.put("application.id", System.getenv("GROUP"));
    settings.put("bootstrap.servers", System.getenv("BOOTSTRAP"));
    settings.put("auto.offset.reset", "earliest");
    settings.put("num.stream.threads", "1");
    settings.put("max.poll.records", "5000");
    settings.put("commit.interval.ms", "1000");
    settings.put("statestore.cache.max.bytes", "104857600");
    settings.put("state.dir", Files.createTempDirectory("peer").toString());
    Topology topology = new Topology();
    String topic = System.getenv("TOPIC");
    topology.addSource("source", new StringDeserializer(), new ByteArrayDeserializer(), topic);
    topology.addProcessor("watch", Watch::new, "source");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("windows"), Serdes.String(), Serdes.ByteArray())
            .withCachingEnabled(),
        "watch");
    topology.addSink("alarms", topic + "-alarms", new StringSerializer(), new StringSerializer(), "watch");
    new KafkaStreams(topology, settings).start();
    Thread.currentThread().join();
  }
}
