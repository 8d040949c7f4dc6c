// Attention of single tokens over a paged cache on CPUs: the kernel of the operator in row_attention.py.
//
// Threads take parts of the rows' keys, whose results are then put together (Dao et al., Flash-Decoding,
// https://crfm.stanford.edu/2023/10/12/flashdecoding.html): one long row keeps all threads busy, as many short
// ones do. Keys and values are read once, in the order of memory, and fetched ahead, as processors do not
// foresee where the next block lies.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

namespace {

constexpr int64_t PART = 128;  // keys
constexpr int64_t AHEAD = 16;  // keys
constexpr int64_t LINE = 64;   // bytes of a cache line

template <typename Number>
void fetch(const Number* numbers, int64_t count) {
  for (int64_t place = 0; place < count; place += LINE / sizeof(Number)) __builtin_prefetch(numbers + place);
}

template <typename Number>
struct RowAttention {
  const float* query;      // (rows, heads, width)
  const Number* keys;      // (slots, key heads, width)
  const Number* values;    // (slots, key heads, value width)
  const int64_t* tables;   // (rows, blocks)
  const int64_t* lengths;  // (rows,)
  const float* sinks;      // (heads,), or null
  float* output;           // (rows, heads, value width)
  int64_t rows, blocks, block_size, key_heads, group, width, value_width;
  float scale, softcap;    // no softcap: 0
  int64_t window;          // none: 0

  int64_t heads() const { return key_heads * group; }
  int64_t parts() const { return (blocks * block_size + PART - 1) / PART; }
  int64_t partial_size() const { return value_width + 2; }  // weighted values, largest score, sum of weights

  void run() const {
    std::vector<float> partials(rows * parts() * heads() * partial_size());
#pragma omp parallel
    {
      std::vector<float> weights(heads() * PART);
#pragma omp for schedule(dynamic)
      for (int64_t task = 0; task < rows * parts(); task++)
        attend_part(task / parts(), task % parts(), weights.data(), &partials[task * heads() * partial_size()]);
#pragma omp for
      for (int64_t place = 0; place < rows * heads(); place++)
        combine(place / heads(), place % heads(), partials.data());
    }
  }

  void attend_part(int64_t row, int64_t part, float* weights, float* partial) const {
    const int64_t first = std::max(part * PART, window ? lengths[row] - window : 0);
    const int64_t count = std::min((part + 1) * PART, lengths[row]) - first;
    for (int64_t head = 0; head < heads(); head++) {
      float* own = partial + head * partial_size();
      std::fill(own, own + value_width, 0.f);
      own[value_width] = -std::numeric_limits<float>::infinity();
      own[value_width + 1] = 0;
    }
    if (count <= 0) return;
    int64_t slots[PART];
    for (int64_t place = 0; place < count; place++) {
      const int64_t token = first + place;
      slots[place] = tables[row * blocks + token / block_size] * block_size + token % block_size;
    }
    score(query + row * heads() * width, slots, count, weights);
    for (int64_t head = 0; head < heads(); head++)
      exponentiate(weights + head * PART, count, partial + head * partial_size() + value_width);
    add_values(weights, slots, count, partial);
  }

  void score(const float* queries, const int64_t* slots, int64_t count, float* scores) const {
    for (int64_t place = 0; place < count; place++) {
      const Number* key = keys + slots[place] * key_heads * width;
      fetch(keys + slots[std::min(place + AHEAD, count - 1)] * key_heads * width, key_heads * width);
      for (int64_t head = 0; head < heads(); head++) {
        const float* own_query = queries + head * width;
        const Number* own_key = key + head / group * width;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < width; i++) sum += own_query[i] * float(own_key[i]);
        sum *= scale;
        scores[head * PART + place] = softcap ? std::tanh(sum / softcap) * softcap : sum;
      }
    }
  }

  // Scores become weights; `found` gets the largest score and the sum of the weights.
  static void exponentiate(float* scores, int64_t count, float* found) {
    const float largest = *std::max_element(scores, scores + count);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t place = 0; place < count; place++) {
      scores[place] = std::exp(scores[place] - largest);
      sum += scores[place];
    }
    found[0] = largest;
    found[1] = sum;
  }

  void add_values(const float* weights, const int64_t* slots, int64_t count, float* partial) const {
    for (int64_t place = 0; place < count; place++) {
      const Number* value = values + slots[place] * key_heads * value_width;
      fetch(values + slots[std::min(place + AHEAD, count - 1)] * key_heads * value_width, key_heads * value_width);
      for (int64_t head = 0; head < heads(); head++) {
        const float weight = weights[head * PART + place];
        const Number* own_value = value + head / group * value_width;
        float* own = partial + head * partial_size();
#pragma omp simd
        for (int64_t i = 0; i < value_width; i++) own[i] += weight * float(own_value[i]);
      }
    }
  }

  void combine(int64_t row, int64_t head, const float* partials) const {
    const float* own = partials + (row * parts() * heads() + head) * partial_size();
    const int64_t step = heads() * partial_size();
    float largest = sinks ? sinks[head] : -std::numeric_limits<float>::infinity();
    for (int64_t part = 0; part < parts(); part++) largest = std::max(largest, own[part * step + value_width]);
    float sum = sinks ? std::exp(sinks[head] - largest) : 0;
    float* attended = output + (row * heads() + head) * value_width;
    std::fill(attended, attended + value_width, 0.f);
    for (int64_t part = 0; part < parts(); part++) {
      const float* found = own + part * step;
      const float factor = std::exp(found[value_width] - largest);
      sum += factor * found[value_width + 1];
#pragma omp simd
      for (int64_t place = 0; place < value_width; place++) attended[place] += factor * found[place];
    }
    for (int64_t place = 0; place < value_width; place++) attended[place] /= sum;
  }
};

template <typename Number = void>
Number* data_of(AtenTensorHandle tensor) {
  void* data = nullptr;
  aoti_torch_get_data_ptr(tensor, &data);
  return static_cast<Number*>(data);
}

int64_t size_of(AtenTensorHandle tensor, int64_t dimension) {
  int64_t size = 0;
  aoti_torch_get_size(tensor, dimension, &size);
  return size;
}

}  // namespace

// All tensors are contiguous. Fails for numbers other than those of 32, and the two of 16 bits.
extern "C" AOTITorchError aoti_torch_cpu_row_attention(
    AtenTensorHandle query, AtenTensorHandle keys, AtenTensorHandle values, AtenTensorHandle tables,
    AtenTensorHandle lengths, AtenTensorHandle* sinks, int64_t block_size, double scale, double softcap,
    int64_t window, AtenTensorHandle* output) {
  const int64_t rows = size_of(query, 0), heads = size_of(query, 1), width = size_of(query, 2);
  const int64_t key_heads = size_of(keys, 1), value_width = size_of(values, 2);
  const int64_t sizes[] = {rows, heads, value_width}, strides[] = {heads * value_width, value_width, 1};
  const AOTITorchError failed = aoti_torch_empty_strided(
      3, sizes, strides, aoti_torch_dtype_float32(), aoti_torch_device_type_cpu(), 0, output);
  if (failed) return failed;

  const auto attend = [&](auto* numbers) {
    using Number = std::remove_pointer_t<decltype(numbers)>;
    RowAttention<Number>{data_of<float>(query), numbers, data_of<Number>(values), data_of<int64_t>(tables),
                         data_of<int64_t>(lengths), sinks ? data_of<float>(*sinks) : nullptr,
                         data_of<float>(*output), rows, size_of(tables, 1), block_size, key_heads,
                         heads / key_heads, width, value_width, float(scale), float(softcap), window}
        .run();
  };
  int32_t dtype = 0;
  aoti_torch_get_dtype(keys, &dtype);
  if (dtype == aoti_torch_dtype_float32()) {
    attend(data_of<float>(keys));
  } else if (dtype == aoti_torch_dtype_bfloat16()) {
    attend(data_of<c10::BFloat16>(keys));
  } else if (dtype == aoti_torch_dtype_float16()) {
    attend(data_of<c10::Half>(keys));
  } else {
    return AOTI_TORCH_FAILURE;
  }
  return AOTI_TORCH_SUCCESS;
}
